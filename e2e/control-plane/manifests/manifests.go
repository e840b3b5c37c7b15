// Package manifests holds what `control-plane up` applies to a fresh API
// server, and the audit policy that it starts that server with.
package manifests

import _ "embed"

// CertManager is cert-manager's namespace, identity and permissions.
//
//go:embed cert-manager.yaml
var CertManager []byte

// Admission is the part of cert-manager's webhook that admission policies can
// take over.
//
//go:embed admission.yaml
var Admission []byte

// AuditPolicy says which requests are written to audit.log.
//
//go:embed audit-policy.yaml
var AuditPolicy []byte
