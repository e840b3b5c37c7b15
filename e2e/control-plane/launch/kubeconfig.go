package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

const (
	certManagerNamespace      = "cert-manager"
	certManagerServiceAccount = "cert-manager"
	certManagerUser           = "system:serviceaccount:" + certManagerNamespace + ":" + certManagerServiceAccount
)

// tokenLifetime outlives any test run; a real Pod's token is renewed by its
// kubelet, and here is none.
const tokenLifetime = 365 * 24 * 60 * 60

// user is a kubeconfig's way to say who is calling.
type user struct {
	ClientCertificateData []byte `json:"client-certificate-data,omitempty"`
	ClientKeyData         []byte `json:"client-key-data,omitempty"`
	Token                 string `json:"token,omitempty"`
}

// certificateUser reads a client certificate of pki/.
func certificateUser(dir stateDir, name string) (user, error) {
	certificate, err := os.ReadFile(dir.pki(name + ".crt"))
	if err != nil {
		return user{}, err
	}
	key, err := os.ReadFile(dir.pki(name + ".key"))
	return user{ClientCertificateData: certificate, ClientKeyData: key}, err
}

// serviceAccountUser gets a token for cert-manager, as a Pod of it would have.
func (c *cluster) serviceAccountUser(ctx context.Context) (user, error) {
	path := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", certManagerNamespace, certManagerServiceAccount)
	body := fmt.Appendf(nil, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":%d}}`, tokenLifetime)
	var answer struct{ Status struct{ Token string } }
	if err := c.call(ctx, http.MethodPost, path, "application/json", body, "", &answer); err != nil {
		return user{}, fmt.Errorf("getting cert-manager's token: %w", err)
	}
	return user{Token: answer.Status.Token}, nil
}

// writeKubeconfig writes one with everything inside, so that it may be copied
// elsewhere. JSON is YAML.
func writeKubeconfig(dir stateDir, file, server string, who user) error {
	authority, err := os.ReadFile(dir.pki(clusterCA + ".crt"))
	if err != nil {
		return err
	}
	const name = "control-plane"
	type object = map[string]any
	config := object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters":        []object{{"name": name, "cluster": object{"server": server, "certificate-authority-data": authority}}},
		"users":           []object{{"name": name, "user": who}},
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": name}}},
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(config); err != nil {
		return err
	}
	return writeFile(file, text.Bytes(), 0o600)
}
