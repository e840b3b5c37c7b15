package launch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// cluster is the launcher's own client, an administrator. It is a few requests
// long, and plain HTTPS keeps the Kubernetes client out of this package.
type cluster struct {
	server string
	http   *http.Client
}

// refusal is an answer that was not a success.
type refusal struct {
	request string
	code    int
	body    string
}

func (r *refusal) Error() string {
	var status struct{ Message string }
	if json.Unmarshal([]byte(r.body), &status) == nil && status.Message != "" {
		return fmt.Sprintf("%s: %d: %s", r.request, r.code, status.Message)
	}
	return fmt.Sprintf("%s: %d: %s", r.request, r.code, strings.TrimSpace(r.body))
}

// httpsClient trusts one authority and shows one client certificate.
func httpsClient(dir stateDir, authority, certificate string) (*http.Client, error) {
	trusted, err := os.ReadFile(dir.pki(authority + ".crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted)
	identity, err := tls.LoadX509KeyPair(dir.pki(certificate+".crt"), dir.pki(certificate+".key"))
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{identity}}},
	}, nil
}

// call sends one request and decodes the answer into `answer` unless it is nil.
func (c *cluster) call(ctx context.Context, method, path, contentType string, body []byte, as string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if as != "" {
		request.Header.Set("Impersonate-User", as)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &refusal{method + " " + path, response.StatusCode, string(text)}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

func (c *cluster) get(ctx context.Context, path string, answer any) error {
	return c.call(ctx, http.MethodGet, path, "", nil, "", answer)
}

// apply server-side applies every document of a YAML file.
func (c *cluster) apply(ctx context.Context, manifest []byte) error {
	for _, document := range documents(manifest) {
		path, err := objectPath(document)
		if err != nil {
			return err
		}
		path += "?fieldManager=control-plane&force=true"
		if err := c.call(ctx, http.MethodPatch, path, "application/apply-patch+yaml", document, "", nil); err != nil {
			return err
		}
	}
	return nil
}

// documents splits a YAML file at its --- lines and drops empty documents.
func documents(manifest []byte) [][]byte {
	var kept [][]byte
	for document := range bytes.SplitSeq(append([]byte("\n"), manifest...), []byte("\n---")) {
		var content any
		if err := yaml.Unmarshal(document, &content); err == nil && content == nil {
			continue
		}
		kept = append(kept, bytes.TrimLeft(document, "\n"))
	}
	return kept
}

// plurals is discovery for the kinds that the launcher applies.
var plurals = map[string]string{
	"ClusterRole":                      "clusterroles",
	"ClusterRoleBinding":               "clusterrolebindings",
	"CustomResourceDefinition":         "customresourcedefinitions",
	"MutatingAdmissionPolicy":          "mutatingadmissionpolicies",
	"MutatingAdmissionPolicyBinding":   "mutatingadmissionpolicybindings",
	"Namespace":                        "namespaces",
	"ServiceAccount":                   "serviceaccounts",
	"ValidatingAdmissionPolicy":        "validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}

// objectPath is where an object lives, for example
// /api/v1/namespaces/cert-manager/serviceaccounts/cert-manager.
func objectPath(document []byte) (string, error) {
	var object struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(document, &object); err != nil {
		return "", fmt.Errorf("reading a manifest: %w", err)
	}
	plural, known := plurals[object.Kind]
	if !known || object.Metadata.Name == "" {
		return "", fmt.Errorf("the launcher does not know how to apply %s %q", object.Kind, object.Metadata.Name)
	}
	root := "/apis/"
	if !strings.Contains(object.APIVersion, "/") {
		root = "/api/"
	}
	path := root + object.APIVersion
	if object.Metadata.Namespace != "" {
		path += "/namespaces/" + object.Metadata.Namespace
	}
	return path + "/" + plural + "/" + object.Metadata.Name, nil
}

// served waits until every version of a CustomResourceDefinition answers, which
// comes a moment after the condition Established. What watches earlier than
// that meets a 404 and backs off.
func (c *cluster) served(ctx context.Context, definition []byte) error {
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Plural string }
			Versions []struct{ Name string }
		}
	}
	if err := yaml.Unmarshal(definition, &crd); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		path := fmt.Sprintf("/apis/%s/%s/%s?limit=1", crd.Spec.Group, version.Name, crd.Spec.Names.Plural)
		if err := eventually(ctx, path+" answers", func() error { return c.get(ctx, path, nil) }); err != nil {
			return err
		}
	}
	return nil
}

// eventually repeats a check until it succeeds or the context ends, and then
// tells what the check said last.
func eventually(ctx context.Context, what string, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func refusedWith(err error, code int) bool {
	var r *refusal
	return errors.As(err, &r) && r.code == code
}
