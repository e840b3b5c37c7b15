package launch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// Two authorities, because whoever has a client certificate of etcd's may read
// every Secret: the cluster's users are not etcd's users.
const (
	clusterCA = "ca"
	etcdCA    = "etcd-ca"
)

// The certificates under pki/, each with NAME.crt and NAME.key.
const (
	apiServerServing        = "kube-apiserver"
	apiServerEtcdClient     = "kube-apiserver-etcd-client"
	etcdServing             = "etcd"
	adminClient             = "admin"
	controllerManagerClient = "kube-controller-manager"
)

// serviceAccountKey signs ServiceAccount tokens.
const serviceAccountKey = "service-account.key"

// serviceRange is where Services would have their addresses. Nothing routes
// them here, but the API server wants one.
const (
	serviceRange  = "10.0.0.0/24"
	serviceServer = "10.0.0.1"
)

const (
	authorityLifetime   = 10 * 365 * 24 * time.Hour
	certificateLifetime = 365 * 24 * time.Hour
	// clockSlack is how far back certificates begin, for a test that moves a
	// client's clock a little.
	clockSlack = time.Hour
)

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// writeCertificates keeps the authorities and the ServiceAccount key of an
// earlier run, whose tokens and kubeconfigs then stay good, and issues
// everything below them anew.
func writeCertificates(dir stateDir, now time.Time) error {
	cluster, err := loadOrCreateAuthority(dir, clusterCA, now)
	if err != nil {
		return err
	}
	etcd, err := loadOrCreateAuthority(dir, etcdCA, now)
	if err != nil {
		return err
	}
	if _, err := loadOrCreateKey(dir.pki(serviceAccountKey)); err != nil {
		return err
	}

	servingNames := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	serving := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, certificate := range []struct {
		file     string
		signer   *authority
		template x509.Certificate
	}{
		{etcdServing, etcd, x509.Certificate{
			Subject: pkix.Name{CommonName: Etcd}, DNSNames: []string{"localhost"}, IPAddresses: serving, ExtKeyUsage: both,
		}},
		{apiServerEtcdClient, etcd, x509.Certificate{
			Subject: pkix.Name{CommonName: APIServer}, ExtKeyUsage: client,
		}},
		{apiServerServing, cluster, x509.Certificate{
			Subject: pkix.Name{CommonName: APIServer}, DNSNames: servingNames, IPAddresses: append(serving, net.ParseIP(serviceServer)),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}},
		{adminClient, cluster, x509.Certificate{
			Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, ExtKeyUsage: client,
		}},
		{controllerManagerClient, cluster, x509.Certificate{
			Subject: pkix.Name{CommonName: "system:kube-controller-manager"}, DNSNames: []string{"localhost"}, IPAddresses: serving, ExtKeyUsage: both,
		}},
	} {
		if err := certificate.signer.issue(dir, certificate.file, certificate.template, now); err != nil {
			return fmt.Errorf("issuing the certificate %s: %w", certificate.file, err)
		}
	}
	return nil
}

func loadOrCreateAuthority(dir stateDir, name string, now time.Time) (*authority, error) {
	key, err := loadOrCreateKey(dir.pki(name + ".key"))
	if err != nil {
		return nil, err
	}
	certificate, err := readCertificate(dir.pki(name + ".crt"))
	if err == nil && key.PublicKey.Equal(certificate.PublicKey) && now.Add(certificateLifetime).Before(certificate.NotAfter) {
		return &authority{certificate, key}, nil
	}

	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: "control-plane " + name},
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := sign(template, &template, key, key, now)
	if err != nil {
		return nil, fmt.Errorf("creating the authority %s: %w", name, err)
	}
	if err := writePEM(dir.pki(name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	certificate, err = x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

func (signer *authority) issue(dir stateDir, file string, template x509.Certificate, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.NotAfter = now.Add(certificateLifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := sign(template, signer.certificate, key, signer.key, now)
	if err != nil {
		return err
	}
	if err := writeKey(dir.pki(file+".key"), key); err != nil {
		return err
	}
	return writePEM(dir.pki(file+".crt"), "CERTIFICATE", der)
}

func sign(template x509.Certificate, parent *x509.Certificate, key, signer *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-clockSlack)
	return x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
}

func loadOrCreateKey(file string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return key, writeKey(file, key)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM: remove it and a new key is made", file)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is not an EC key: %w", file, err)
	}
	return key, nil
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", file)
	}
	return x509.ParseCertificate(block.Bytes)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return writeFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
