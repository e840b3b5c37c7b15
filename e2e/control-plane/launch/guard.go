package launch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The API server takes up an admission policy some time after it accepted it.
// A test that expects a refusal would meanwhile see an approval, so `up` is not
// ready before it has seen the policies at work: it makes a CertificateRequest
// for signers that nobody may approve and tries, as cert-manager, to approve it.
const (
	guardName       = "control-plane-guard"
	guardCollection = "/apis/cert-manager.io/v1/namespaces/" + certManagerNamespace + "/certificaterequests"
	guardRequest    = `{"apiVersion":"cert-manager.io/v1","kind":"CertificateRequest","metadata":{"name":"` + guardName + `"},
		"spec":{"request":"bm90IGEgQ1NS","issuerRef":{"name":"nobody","kind":"Guard","group":"control-plane.invalid"}}}`
	guardApproval = `{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Guard","message":"must be refused"}]}}`
)

// policiesAtWork needs cert-manager to be down, which could act on the request.
func (c *cluster) policiesAtWork(ctx context.Context) error {
	object := guardCollection + "/" + guardName
	remove := func(ctx context.Context) error {
		err := c.call(ctx, http.MethodDelete, object, "", nil, "", nil)
		if refusedWith(err, http.StatusNotFound) {
			return nil
		}
		return err
	}
	// One may be left from a launcher that was killed right here.
	if err := remove(ctx); err != nil {
		return err
	}

	err := eventually(ctx, "the requester's identity is stamped on CertificateRequests", func() error {
		var created struct{ Spec struct{ Username string } }
		if err := c.call(ctx, http.MethodPost, guardCollection+"?dryRun=All", "application/json", []byte(guardRequest), "", &created); err != nil {
			return err
		}
		if created.Spec.Username == "" {
			return errors.New("spec.username is empty")
		}
		return nil
	})
	if err != nil {
		return err
	}

	if err := c.call(ctx, http.MethodPost, guardCollection, "application/json", []byte(guardRequest), "", nil); err != nil {
		return err
	}
	defer func() {
		// Also when the wait was broken off.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		remove(ctx)
	}()
	return eventually(ctx, "approval is refused without permission", func() error {
		err := c.call(ctx, http.MethodPatch, object+"/status?dryRun=All", "application/merge-patch+json", []byte(guardApproval), certManagerUser, nil)
		switch {
		case err == nil:
			return errors.New("it was allowed")
		case refusedWith(err, http.StatusForbidden) && strings.Contains(err.Error(), "needs the verb approve"):
			return nil
		default:
			return fmt.Errorf("it was refused for another reason: %w", err)
		}
	})
}
