//! Doing what was decided. No choice is left here but what to do with an object that is already there.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::{Certificate, CertificateRequest, CertificateRequestStatus, CertificateStatus},
    csr::{self, CsrError},
    decide::{Act, NextKey, Note, Pem, Target},
    events::{Publisher, Subject},
    key::{KeyEncoding, KeyError, PrivateKey},
    names::ISSUING_MANAGER,
    request, secret,
    store::ObjectKey,
};

/// What the API server has of us now.
pub(crate) enum Written {
    Certificate(Box<Certificate>),
    Request(Box<CertificateRequest>),
    Secret(Box<Secret>),
    RequestDeleted(ObjectKey, String),
    SecretDeleted(ObjectKey, String),
}

/// Why a step was not done. It is tried again, unless the Certificate must change first.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("no private key: {0}")]
    Key(#[from] KeyError),
    #[error("no request: {0}")]
    Csr(#[from] CsrError),
    #[error("the thread that made a key is gone")]
    Thread,
}

/// What was done, and what stopped it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) written: Vec<Written>,
    pub(crate) error: Option<StepError>,
}

/// One Certificate's step.
pub(crate) struct Step {
    pub(crate) client: Client,
    pub(crate) publisher: Publisher,
    pub(crate) keys: std::sync::Arc<dyn crate::key_source::KeySource>,
    pub(crate) key: ObjectKey,
    pub(crate) certificate: Certificate,
}

impl Step {
    pub(crate) async fn perform(self, act: Option<Act>, note: Option<Note>) -> Outcome {
        if let Some(note) = note {
            self.tell(&note).await;
        }
        let mut outcome = Outcome::default();
        if let Some(act) = act {
            outcome.error = self.act(act, &mut outcome.written).await.err();
        }
        outcome
    }

    async fn act(&self, act: Act, written: &mut Vec<Written>) -> Result<(), StepError> {
        match act {
            Act::UpdateStatus { status, manager, note } => {
                written.push(self.update_status(*status, manager).await?);
                if let Some(note) = note {
                    self.tell(&note).await;
                }
            }
            Act::CreateNextPrivateKey(next) => written.push(self.create_next_private_key(next).await?),
            Act::DeleteNextPrivateKey(target) => {
                written.push(match delete(&self.api::<Secret>(), &target).await? {
                    Some(secret) => Written::Secret(Box::new(secret)),
                    None => Written::SecretDeleted(self.sibling(target.name), target.uid),
                });
            }
            Act::CreateRequest { revision, secret_name, key_pem } => {
                written.push(self.create_request(revision, &secret_name, &key_pem).await?);
            }
            Act::DeleteRequest(target) => {
                written.push(match delete(&self.api::<CertificateRequest>(), &target).await? {
                    Some(request) => Written::Request(Box::new(request)),
                    None => Written::RequestDeleted(self.sibling(target.name), target.uid),
                });
            }
            Act::Issue { secret, status } => {
                written.push(self.apply_secret(&secret).await?);
                written.push(self.update_status(*status, ISSUING_MANAGER).await?);
                let message = "The certificate has been successfully issued".to_owned();
                self.normal("Issuing", message, ISSUING_MANAGER).await;
            }
            Act::ApplySecret(secret) => written.push(self.apply_secret(&secret).await?),
        }
        Ok(())
    }

    /// Over the version that was judged, or not at all.
    async fn update_status(
        &self,
        status: CertificateStatus,
        manager: &'static str,
    ) -> Result<Written, StepError> {
        let certificate = Certificate { status: Some(status), ..self.certificate.clone() };
        Ok(Written::Certificate(Box::new(
            replace_status(&self.api(), &self.key.name, manager, &certificate).await?,
        )))
    }

    async fn create_next_private_key(&self, next: NextKey) -> Result<Written, StepError> {
        const MANAGER: &str = "cert-manager-certificates-key-manager";
        let reused = matches!(next, NextKey::Reuse(_));
        let key = match next {
            NextKey::Reuse(pem) => PrivateKey::from_pem(&pem.0)?,
            NextKey::Generate { algorithm, purpose } if self.keys.is_slow(algorithm) => {
                let keys = std::sync::Arc::clone(&self.keys);
                let made = tokio::task::spawn_blocking(move || keys.private_key(algorithm, &purpose));
                made.await.map_err(|_| StepError::Thread)??
            }
            NextKey::Generate { algorithm, purpose } => self.keys.private_key(algorithm, &purpose)?,
        };
        let secret = secret::next_private_key(&self.certificate, key.to_pem(KeyEncoding::Pkcs8)?);
        let api = self.api::<Secret>();
        let created = match api.create(&post(MANAGER), &secret).await {
            // Its name was known, so somebody has made it meanwhile: us, before a crash.
            Err(kube::Error::Api(status)) if status.code == 409 && secret.metadata.name.is_some() => {
                api.get(secret.metadata.name.as_deref().unwrap_or_default()).await?
            }
            created => created?,
        };
        let message = if reused {
            format!(
                "Reusing private key stored in existing Secret resource {:?}",
                self.certificate.spec.secret_name
            )
        } else {
            let name = created.metadata.name.as_deref().unwrap_or_default();
            format!("Stored new private key in temporary Secret resource {name:?}")
        };
        self.normal(if reused { "Reused" } else { "Generated" }, message, MANAGER).await;
        Ok(Written::Secret(Box::new(created)))
    }

    async fn create_request(
        &self,
        revision: u64,
        secret_name: &str,
        key_pem: &Pem,
    ) -> Result<Written, StepError> {
        const MANAGER: &str = "cert-manager-certificates-request-manager";
        let key = PrivateKey::from_pem(&key_pem.0)?;
        let csr = csr::request_pem(&self.certificate.spec, &key)?;
        let request = request::new_request(&self.certificate, revision, secret_name, csr);
        match self.api::<CertificateRequest>().create(&post(MANAGER), &request).await {
            Ok(created) => {
                let name = created.metadata.name.as_deref().unwrap_or_default();
                let message = format!("Created new CertificateRequest resource {name:?}");
                self.normal("Requested", message, MANAGER).await;
                Ok(Written::Request(Box::new(created)))
            }
            Err(error) => {
                let message = format!("Failed to create CertificateRequest: {}", text(&error));
                let reason = "RequestFailed".to_owned();
                self.tell(&Note { warning: true, reason, message, component: MANAGER }).await;
                Err(error.into())
            }
        }
    }

    /// Everything in one patch, and by force: the Secret is cert-manager's whatever others think.
    async fn apply_secret(&self, secret: &Secret) -> Result<Written, StepError> {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let apply = PatchParams::apply(ISSUING_MANAGER).force();
        Ok(Written::Secret(Box::new(self.api::<Secret>().patch(name, &apply, &Patch::Apply(secret)).await?)))
    }

    async fn normal(&self, reason: &str, message: String, component: &'static str) {
        self.tell(&Note { warning: false, reason: reason.to_owned(), message, component }).await;
    }

    async fn tell(&self, note: &Note) {
        self.publisher.publish(&Subject::of(&self.certificate), note).await;
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }

    fn sibling(&self, name: String) -> ObjectKey {
        ObjectKey { namespace: self.key.namespace.clone(), name }
    }
}

/// Approves a request.
pub(crate) async fn approve(
    client: Client,
    publisher: Publisher,
    mut request: CertificateRequest,
    status: CertificateRequestStatus,
) -> Outcome {
    const MANAGER: &str = "cert-manager-certificaterequests-approver";
    let key = ObjectKey::of(&request);
    request.status = Some(status);
    let api: Api<CertificateRequest> = Api::namespaced(client, &key.namespace);
    match replace_status(&api, &key.name, MANAGER, &request).await {
        Ok(approved) => {
            let note = Note {
                warning: false,
                reason: "cert-manager.io".to_owned(),
                message: crate::approver::APPROVED_MESSAGE.to_owned(),
                component: MANAGER,
            };
            publisher.publish(&Subject::of(&approved), &note).await;
            Outcome { written: vec![Written::Request(Box::new(approved))], error: None }
        }
        Err(error) => Outcome { written: Vec::new(), error: Some(error.into()) },
    }
}

#[expect(clippy::disallowed_methods, reason = "cert-manager's own status, written as it writes it: by PUT")]
async fn replace_status<K>(api: &Api<K>, name: &str, manager: &str, object: &K) -> kube::Result<K>
where
    K: Clone + DeserializeOwned + std::fmt::Debug + Serialize,
{
    api.replace_status(name, &post(manager), object).await
}

/// Deletes this object. It comes back if something holds it, and is then on its way.
async fn delete<K>(api: &Api<K>, target: &Target) -> Result<Option<K>, StepError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug + Resource,
{
    let preconditions = Preconditions { uid: Some(target.uid.clone()), resource_version: None };
    let this = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(&target.name, &this).await {
        Ok(answer) => Ok(answer.left().filter(|held| held.meta().deletion_timestamp.is_some())),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn post(manager: &str) -> PostParams {
    PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() }
}

/// The server's own words where there are some.
fn text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
