//! Enrolment: `pkcs10enroll`, which makes or changes the end entity as it goes, and `certificaterequest` for one that is
//! there.

use ca::{LeafProfile, Requested, Sans, Subject};
use http::header;
use jiff::{SignedDuration, Timestamp};
use x509::{Certificate, Csr};

use crate::{
    ejbca::{
        Context,
        answer::{Answer, Refusal},
        certificate::{Format, certificate},
        dates,
        end_entities::{EndEntity, Status, USER_GENERATED},
        finalize,
        names::{self, Dn},
        profiles::{CertificateProfile, EndEntityProfile},
        records::Record,
    },
    face::short_header,
    fault::Verdict,
    issue::{self, Asker, Made},
    random,
};

/// How far before now a certificate becomes valid, so that clients whose clock is behind take it.
const OFFSET: SignedDuration = SignedDuration::from_mins(10);

/// A certificate that is asked for. Without `Debug`: the password is in it.
pub(crate) struct Enrolment {
    /// As the ledger shows it.
    pub(crate) operation: &'static str,
    /// The CA's name.
    pub(crate) ca: &'static str,
    pub(crate) certificate_profile: &'static CertificateProfile,
    pub(crate) end_entity_profile: EndEntityProfile,
    pub(crate) username: String,
    pub(crate) password: Option<String>,
    pub(crate) csr: Csr,
    subject: Subject,
    sans: Sans,
    pub(crate) common_name: Option<String>,
    dn: String,
    subject_alt_name: Option<String>,
    email: Option<String>,
    account_binding_id: Option<String>,
    extension_data: Vec<(String, String)>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

/// A certificate that was made, and the chain to send with it.
pub(crate) struct Fulfilled {
    pub(crate) certificate: Certificate,
    pub(crate) chain: Option<Vec<Certificate>>,
}

/// `POST /v1/certificate/pkcs10enroll`
pub(crate) fn enrol(context: &Context<'_>) -> Result<Answer, Refusal> {
    let fields = &context.request.fields;
    let format =
        if fields.has("response_format") { fields.text("response_format")? } else { Some("DER".to_owned()) };
    let format = Format::of_enrolment(format.as_deref())
        .ok_or_else(|| Refusal::bad("Invalid input. Response format can only be DER or PKCS7"))?;
    let with_chain = fields.boolean("include_chain")?;
    let enrolment = Enrolment::read(context)?;
    let common_name = enrolment.common_name.as_deref();
    let approved_after = match context.call.certificates().verdict(common_name, true) {
        Some(Verdict::Refuse(why)) => return Err(Refusal::bad(why)),
        Some(Verdict::Hold { approved_after }) => Some(approved_after),
        None => enrolment.certificate_profile.requires_approval.then_some(None),
    };
    if let Some(approved_after) = approved_after {
        return Err(finalize::hold(context, enrolment, approved_after));
    }
    let fulfilled = fulfil(context, &enrolment, random::uuid())?;
    Ok(certificate(&fulfilled.certificate, fulfilled.chain.filter(|_| with_chain).as_deref(), format))
}

/// `POST /v1/certificate/certificaterequest`
pub(crate) fn certificate_request(context: &Context<'_>) -> Result<Answer, Refusal> {
    let fields = &context.request.fields;
    let with_chain = fields.boolean("include_chain")?;
    let username = fields.text("username")?.unwrap_or_default();
    let password = fields.text("password")?;
    // Without telling which of the two is wrong.
    let entity = context.state.end_entities.find(&username);
    let entity = entity.ok_or_else(|| Refusal::bad("Wrong username or password"))?;
    if entity.token != USER_GENERATED {
        return Err(Refusal::bad(
            "Error: Wrong Token Type of user, must be 'USERGENERATED' for PKCS10/SPKAC/CRMF/CVC requests",
        ));
    }
    let csr = read_csr(fields.text("certificate_request")?)?;
    if !entity.status.may_enrol() {
        let Status { name, number } = entity.status;
        return Err(Refusal::bad(format!(
            "Got request with status {name} ({number}). Status NEW, FAILED or INPROCESS required: {username}."
        )));
    }
    if entity.password != password {
        return Err(Refusal::bad(format!("Got request for user with invalid password: {username}.")));
    }
    let dn = Dn::parse(&entity.dn).ok_or_else(Refusal::general)?;
    let names = entity.subject_alt_name.as_deref().map_or_else(|| Some(Vec::new()), names::parse_alternative);
    let names = names.filter(|names| !names.is_empty());
    let sans = names.map(|names| ca::general_names(&names)).transpose()?.map_or(Sans::None, Sans::Der);
    let enrolment = Enrolment {
        operation: "certificaterequest",
        ca: entity.ca,
        certificate_profile: entity.certificate_profile,
        end_entity_profile: entity.profile,
        username,
        password,
        csr,
        subject: Subject::Der(dn.to_der()),
        sans,
        common_name: dn.common_name().map(str::to_owned),
        dn: entity.dn.clone(),
        subject_alt_name: entity.subject_alt_name.clone(),
        email: entity.email.clone(),
        account_binding_id: entity.account_binding_id.clone(),
        extension_data: entity.extension_data.clone(),
        not_before: None,
        not_after: None,
    };
    // The end entity was approved when it was added.
    if let Some(Verdict::Refuse(why)) =
        context.call.certificates().verdict(enrolment.common_name.as_deref(), false)
    {
        return Err(Refusal::bad(why));
    }
    let fulfilled = fulfil(context, &enrolment, random::uuid())?;
    let mut chain = None;
    if with_chain {
        let name = fields.text("certificate_authority_name")?.unwrap_or_default();
        if context.state.ca_named(&name).is_none() {
            return Err(Refusal::absent(format!("CA with name {name} doesn't exist.")));
        }
        chain = fulfilled.chain;
    }
    Ok(certificate(&fulfilled.certificate, chain.as_deref(), Format::Der))
}

impl Enrolment {
    fn read(context: &Context<'_>) -> Result<Self, Refusal> {
        let fields = &context.request.fields;
        let shown = |name: &str| Ok::<_, Refusal>(fields.text(name)?.unwrap_or_else(|| "null".to_owned()));
        let ca = shown("certificate_authority_name")?;
        let ca = context
            .state
            .ca_named(&ca)
            .ok_or_else(|| Refusal::bad(format!("CA with name \"{ca}\" doesn't exist")))?;
        let certificate_profile = shown("certificate_profile_name")?;
        let certificate_profile = CertificateProfile::named(&certificate_profile).ok_or_else(|| {
            Refusal::bad(format!("Certificate profile with name \"{certificate_profile}\" doesn't exist"))
        })?;
        let end_entity_profile = shown("end_entity_profile_name")?;
        let end_entity_profile = EndEntityProfile::named(&end_entity_profile).ok_or_else(|| {
            Refusal::bad(format!("End Entity Profile of name \"{end_entity_profile}\" was not found"))
        })?;
        let csr = read_csr(fields.text("certificate_request")?)?;
        let subject_dn = fields.full_text("subject_dn")?;
        let overwritten = match &subject_dn {
            None => None,
            Some(dn) => Some(Dn::parse(dn).ok_or_else(|| Refusal::bad("Subject DN is malformed"))?),
        };
        let username = fields.full_text("username")?;
        let username = username.ok_or_else(|| Refusal::bad("Username cannot be empty or null."))?;
        let names = csr.subject_alt_names().map_err(|_| Refusal::bad("Invalid certificate request"))?;
        let of_csr = csr.subject();
        let (dn, common_name) = match &overwritten {
            Some(dn) => (dn.to_string(), dn.common_name().map(str::to_owned)),
            None => (names::written(&of_csr), of_csr.common_name().map(str::to_owned)),
        };
        let time = |name: &str| Ok::<_, Refusal>(fields.text(name)?.as_deref().and_then(dates::of_validity));
        Ok(Self {
            operation: "pkcs10enroll",
            ca: ca.name,
            certificate_profile,
            end_entity_profile,
            username,
            password: fields.full_text("password")?,
            subject: overwritten.map_or(Subject::FromCsr, |dn| Subject::Der(dn.to_der())),
            sans: Sans::FromCsr,
            common_name,
            dn,
            subject_alt_name: names::alternative(&names),
            email: fields.full_text("email")?,
            account_binding_id: fields.full_text("account_binding_id")?,
            extension_data: [fields.pairs("extension_data")?, fields.pairs("custom_data")?].concat(),
            not_before: time("start_time")?,
            not_after: time("end_time")?,
            csr,
        })
    }

    /// The end entity with its certificate.
    fn end_entity(&self, now: Timestamp) -> EndEntity {
        EndEntity {
            dn: self.dn.clone(),
            subject_alt_name: self.subject_alt_name.clone(),
            email: self.email.clone(),
            status: Status::GENERATED,
            token: USER_GENERATED,
            password: self.password.clone(),
            ca: self.ca,
            certificate_profile: self.certificate_profile,
            profile: self.end_entity_profile,
            account_binding_id: self.account_binding_id.clone(),
            extension_data: self.extension_data.clone(),
            modified: now,
        }
    }

    /// From when to when: the profile's, the wish within it, and the CA's around both.
    fn validity(&self, issuer: &Certificate, now: Timestamp) -> (Timestamp, Timestamp) {
        let earliest = now.checked_sub(OFFSET).unwrap_or(now);
        let first = self.not_before.map_or(earliest, |asked| asked.max(now));
        let longest = SignedDuration::from_hours(24 * self.certificate_profile.days);
        let last = first.checked_add(longest).unwrap_or(first);
        let last = self.not_after.map_or(last, |asked| asked.min(last));
        let (first, last) = if last < first { (last, first) } else { (first, last) };
        (issue::whole(first.max(issuer.not_before())), issue::whole(last.min(issuer.not_after())))
    }
}

/// PEM, or base64 without labels.
fn read_csr(text: Option<String>) -> Result<Csr, Refusal> {
    let text = text.ok_or_else(Refusal::general)?;
    let text = if text.contains("-----BEGIN") {
        text
    } else {
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", text.trim())
    };
    let csr = Csr::from_pem(text.as_bytes()).map_err(|_| Refusal::bad("Invalid certificate request"))?;
    csr.verify().map_err(|_| Refusal::bad("POPO verification failed."))?;
    Ok(csr)
}

/// The common name that a request asks for. For faults.
pub(crate) fn common_name(body: &[u8]) -> Option<String> {
    let fields = crate::ejbca::fields::Fields::read(body).ok()?;
    if let Some(dn) = fields.full_text("subject_dn").ok()?.and_then(|dn| Dn::parse(&dn)) {
        return dn.common_name().map(str::to_owned);
    }
    let csr = read_csr(fields.text("certificate_request").ok()?).ok()?;
    csr.subject().common_name().map(str::to_owned)
}

/// Makes the certificate; remembers it and its end entity.
pub(crate) fn fulfil(
    context: &Context<'_>,
    enrolment: &Enrolment,
    request_id: String,
) -> Result<Fulfilled, Refusal> {
    let Context { epoch, state, call, now, .. } = *context;
    let ca = state.ca_named(enrolment.ca).ok_or_else(Refusal::general)?;
    if call.is_sealed() {
        return Err(Refusal::no_device());
    }
    let chain = ca.authority.chain();
    let issuer = chain.first().ok_or_else(Refusal::general)?;
    let subject = match &enrolment.subject {
        Subject::FromCsr => enrolment.csr.subject_der(),
        Subject::Der(der) => der,
    };
    state.records.claim(&enrolment.username, ca.name, enrolment.csr.spki_der(), subject)?;
    let (not_before, not_after) = enrolment.validity(issuer, now);
    let leaf = LeafProfile {
        usages: enrolment.certificate_profile.usages(),
        subject: enrolment.subject.clone(),
        subject_alt_names: enrolment.sans.clone(),
        ..LeafProfile::valid(epoch.ledger.next_serial(), not_before, not_after)
    };
    let headers = &call.head.headers;
    let order = issue::Order {
        authority: Some(&*ca.authority),
        chain,
        leaf,
        requested: Requested::from(&enrolment.csr),
        extra: Vec::new(),
        common_name: enrolment.common_name.clone(),
        csr: Some(&enrolment.csr),
        kept: Some((&*ca.archive, &ca.key)),
    };
    let asker = Asker {
        issued_by: format!("ejbca {} {}", enrolment.operation, ca.name),
        request_id,
        user_agent: short_header(headers, header::USER_AGENT),
        idempotency_key: short_header(headers, header::HeaderName::from_static("idempotency-key")),
        faults: call.certificates(),
        ledger: &epoch.ledger,
        now,
    };
    let Made { certificate, issuance, .. } = issue::issue(order, asker)?;
    let record = Record {
        username: enrolment.username.as_str().into(),
        certificate_profile: enrolment.certificate_profile,
        end_entity_profile: enrolment.end_entity_profile,
        account_binding_id: enrolment.account_binding_id.clone(),
        issued_at: now,
    };
    state.records.keep(certificate.serial(), record);
    state.end_entities.put(&enrolment.username, enrolment.end_entity(now));
    let chain = issuance.send_chain.then(|| issuance.chain.clone());
    Ok(Fulfilled { certificate, chain })
}
