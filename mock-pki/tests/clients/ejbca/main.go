// Keyfactor's own Go client against the EJBCA face of a running mock-pki: the whole round, each answer checked.
//
// usage: ejbca READY-FILE CA.pem CLIENT.pem CLIENT.key
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/Keyfactor/ejbca-go-client-sdk/api/ejbca"
)

// ready is what mock-pki writes once it answers.
type ready struct {
	Ejbca     string `json:"ejbca_url"`
	Control   string `json:"control_url"`
	RootToken string `json:"root_token"`
}

// round holds what every step needs.
type round struct {
	*ejbca.APIClient
	ready
	roots  *x509.CertPool
	issuer *x509.Certificate
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: ejbca READY-FILE CA.pem CLIENT.pem CLIENT.key")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "ejbca-go-client-sdk:", err)
		os.Exit(1)
	}
	fmt.Println("ejbca-go-client-sdk: the whole round")
}

func run(readyFile, ca, certificate, key string) error {
	text, err := os.ReadFile(readyFile)
	if err != nil {
		return err
	}
	var r round
	if err := json.Unmarshal(text, &r.ready); err != nil {
		return err
	}
	mtls, err := ejbca.NewMTLSAuthenticatorBuilder().WithCaCertificatePath(ca).
		WithClientCertificatePath(certificate).WithClientCertificateKeyPath(key).Build()
	if err != nil {
		return err
	}
	// The builder's client for tokens trusts what the system trusts: the caller sets SSL_CERT_FILE.
	oauth, err := ejbca.NewOAuthAuthenticatorBuilder().WithCaCertificatePath(ca).WithClientId("mock-pki").
		WithClientSecret(r.RootToken).WithTokenUrl(r.Ejbca + "/realms/mock-pki/protocol/openid-connect/token").Build()
	if err != nil {
		return err
	}
	if r.roots, err = r.root(); err != nil {
		return err
	}
	for name, authenticator := range map[string]ejbca.Authenticator{"mtls": mtls, "oauth": oauth} {
		configuration := ejbca.NewConfiguration()
		configuration.Host = r.Ejbca
		configuration.SetAuthenticator(authenticator)
		if r.APIClient, err = ejbca.NewAPIClient(configuration); err != nil {
			return err
		}
		steps := []struct {
			name string
			take func(user string) error
		}{{"authorities", r.authorities}, {"enrolment", r.enrolment}, {"approval", r.approval}, {"end entity", r.endEntity}, {"refusal", r.refusal}}
		for _, step := range steps {
			if err := step.take(name + " " + step.name); err != nil {
				return fmt.Errorf("%s with %s: %w", step.name, name, explained(err))
			}
		}
	}
	return nil
}

// explained adds the body of an answer to its error.
func explained(err error) error {
	var answer *ejbca.GenericOpenAPIError
	if errors.As(err, &answer) {
		return fmt.Errorf("%w: %s", err, answer.Body())
	}
	return err
}

func (r *round) root() (*x509.CertPool, error) {
	answer, err := http.Get(r.Control + "/ca")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("no root at the control port")
	}
	return pool, err
}

func (r *round) authorities(string) error {
	status, _, err := r.V1CertificateApi.Status2(context.Background()).Execute()
	if err != nil {
		return err
	}
	if status.GetStatus() != "OK" || !strings.HasPrefix(status.GetRevision(), "EJBCA ") {
		return fmt.Errorf("status %q of %q", status.GetStatus(), status.GetRevision())
	}
	list, _, err := r.V1CaApi.ListCas(context.Background()).Execute()
	if err != nil {
		return err
	}
	for _, ca := range list.CertificateAuthorities {
		if ca.GetName() != "ManagementCA" {
			continue
		}
		answer, err := r.V1CaApi.GetCertificateAsPem(context.Background(), ca.GetSubjectDn()).Execute()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return fmt.Errorf("no PEM: %s", text)
		}
		r.issuer, err = x509.ParseCertificate(block.Bytes)
		return err
	}
	return errors.New("no ManagementCA")
}

func (r *round) enrolment(user string) error {
	enrolled, _, err := r.enrol(user, "SERVER")
	if err != nil {
		return err
	}
	certificate, err := r.verified(enrolled)
	if err != nil {
		return err
	}
	serial, dn := enrolled.GetSerialNumber(), r.issuer.Subject.String()
	if want := strings.ToUpper(certificate.SerialNumber.Text(16)); serial != want {
		return fmt.Errorf("serial number %s, not %s", serial, want)
	}
	if err := r.finds(user, "CERT_ACTIVE"); err != nil {
		return err
	}
	revoked, _, err := r.V1CertificateApi.RevokeCertificate(context.Background(), dn, serial).Reason("KEY_COMPROMISE").Execute()
	if err != nil {
		return err
	}
	status, _, err := r.V1CertificateApi.RevocationStatus(context.Background(), dn, serial).Execute()
	if err != nil {
		return err
	}
	if !revoked.GetRevoked() || !status.GetRevoked() || status.GetRevocationReason() != "KEY_COMPROMISE" || status.GetRevocationDate().IsZero() {
		return fmt.Errorf("revoked %v, status %v", revoked, status)
	}
	if err := r.finds(user, "CERT_REVOKED"); err != nil {
		return err
	}
	return r.listed(dn, certificate)
}

// listed checks that the CRL is the CA's and names the certificate.
func (r *round) listed(dn string, certificate *x509.Certificate) error {
	latest, _, err := r.V1CaApi.GetLatestCrl(context.Background(), dn).Execute()
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(latest.GetCrl())
	if err != nil {
		return err
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if err := crl.CheckSignatureFrom(r.issuer); err != nil {
		return err
	}
	for _, entry := range crl.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
			return nil
		}
	}
	return errors.New("the certificate is not on the CRL")
}

// finds searches with both versions, which must find the one certificate.
func (r *round) finds(user, status string) error {
	criteria := []ejbca.SearchCertificateCriteriaRestRequest{*criterion("USERNAME", user), *criterion("STATUS", status)}
	request := ejbca.NewSearchCertificatesRestRequest()
	request.SetMaxNumberOfResults(10)
	request.SetCriteria(criteria)
	one, _, err := r.V1CertificateApi.SearchCertificates(context.Background()).SearchCertificatesRestRequest(*request).Execute()
	if err != nil {
		return err
	}
	page := ejbca.NewPagination()
	page.SetPageSize(10)
	page.SetCurrentPage(1)
	paged := ejbca.NewSearchCertificatesRestRequestV2()
	paged.SetPagination(*page)
	paged.SetCriteria(criteria)
	two, _, err := r.V2CertificateApi.SearchCertificates1(context.Background()).SearchCertificatesRestRequestV2(*paged).Execute()
	if err != nil {
		return err
	}
	if len(one.Certificates) != 1 || len(two.Certificates) != 1 {
		return fmt.Errorf("version 1 finds %d, version 2 %d", len(one.Certificates), len(two.Certificates))
	}
	return nil
}

func criterion(property, value string) *ejbca.SearchCertificateCriteriaRestRequest {
	criterion := ejbca.NewSearchCertificateCriteriaRestRequest()
	criterion.SetProperty(property)
	criterion.SetValue(value)
	criterion.SetOperation("EQUAL")
	return criterion
}

func (r *round) approval(user string) error {
	_, answer, err := r.enrol(user, "ApprovalRequired")
	if err != nil {
		return err
	}
	// The client takes 202 for success and gives an empty certificate; what counts is in the body.
	var waiting struct {
		RequestID int32 `json:"request_id"`
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &waiting); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	request := ejbca.NewFinalizeRestRequest()
	request.SetResponseFormat("DER")
	request.SetPassword("foo123")
	finalize := func() (*ejbca.CertificateRestResponse, *http.Response, error) {
		return r.V1CertificateApi.FinalizeEnrollment(context.Background(), waiting.RequestID).FinalizeRestRequest(*request).Execute()
	}
	_, answer, err = finalize()
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("before approval: %s", answer.Status)
	}
	approved, err := http.Post(fmt.Sprintf("%s/approvals/%d/approve", r.Control, waiting.RequestID), "", nil)
	if err != nil {
		return err
	}
	approved.Body.Close()
	finalized, _, err := finalize()
	if err != nil {
		return err
	}
	finalized.CertificateChain = []string{base64.StdEncoding.EncodeToString(r.issuer.Raw)}
	_, err = r.verified(finalized)
	return err
}

func (r *round) endEntity(user string) error {
	entity := ejbca.NewAddEndEntityRestRequest()
	entity.SetUsername(user)
	entity.SetPassword("foo123")
	entity.SetSubjectDn("CN=" + user + ",O=Example")
	entity.SetSubjectAltName("dNSName=" + host(user))
	entity.SetCaName("ManagementCA")
	entity.SetCertificateProfileName("SERVER")
	entity.SetEndEntityProfileName("EMPTY")
	entity.SetToken("USERGENERATED")
	if _, err := r.V1EndentityApi.Add(context.Background()).AddEndEntityRestRequest(*entity).Execute(); err != nil {
		return err
	}
	csr, err := newCSR(user)
	if err != nil {
		return err
	}
	request := ejbca.NewCertificateRequestRestRequest()
	request.SetUsername(user)
	request.SetPassword("foo123")
	request.SetCertificateAuthorityName("ManagementCA")
	request.SetIncludeChain(true)
	request.SetCertificateRequest(csr)
	issued, _, err := r.V1CertificateApi.CertificateRequest(context.Background()).CertificateRequestRestRequest(*request).Execute()
	if err != nil {
		return err
	}
	certificate, err := r.verified(issued)
	if err != nil {
		return err
	}
	if err := certificate.VerifyHostname(host(user)); err != nil {
		return err
	}
	revocation := ejbca.NewEndEntityRevocationRestRequest()
	revocation.SetReasonCode(5)
	if _, err := r.V1EndentityApi.Revoke(context.Background(), user).EndEntityRevocationRestRequest(*revocation).Execute(); err != nil {
		return err
	}
	if err := r.listed(r.issuer.Subject.String(), certificate); err != nil {
		return err
	}
	_, err = r.V1EndentityApi.Delete(context.Background(), user).Execute()
	return err
}

func (r *round) refusal(user string) error {
	_, _, err := r.enrol(user, "Nope")
	var answer *ejbca.GenericOpenAPIError
	if !errors.As(err, &answer) || !bytes.Contains(answer.Body(), []byte(`"error_code":400`)) {
		return fmt.Errorf("an unknown profile: %v", err)
	}
	return nil
}

func (r *round) enrol(user, profile string) (*ejbca.CertificateRestResponse, *http.Response, error) {
	csr, err := newCSR(user)
	if err != nil {
		return nil, nil, err
	}
	request := ejbca.NewEnrollCertificateRestRequest()
	request.SetCertificateRequest(csr)
	request.SetCertificateProfileName(profile)
	request.SetEndEntityProfileName("EMPTY")
	request.SetCertificateAuthorityName("ManagementCA")
	request.SetUsername(user)
	request.SetPassword("foo123")
	request.SetIncludeChain(true)
	return r.V1CertificateApi.EnrollPkcs10Certificate(context.Background()).EnrollCertificateRestRequest(*request).Execute()
}

// verified reads a certificate and verifies it with its chain.
func (r *round) verified(answer *ejbca.CertificateRestResponse) (*x509.Certificate, error) {
	if answer.GetResponseFormat() != "DER" {
		return nil, fmt.Errorf("format %q", answer.GetResponseFormat())
	}
	var all []*x509.Certificate
	for _, text := range append([]string{answer.GetCertificate()}, answer.CertificateChain...) {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, certificate)
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range all[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := all[0].Verify(x509.VerifyOptions{Roots: r.roots, Intermediates: intermediates})
	return all[0], err
}

func host(user string) string {
	return strings.ReplaceAll(user, " ", "-") + ".example.com"
}

func newCSR(user string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: user}, DNSNames: []string{host(user)}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}
