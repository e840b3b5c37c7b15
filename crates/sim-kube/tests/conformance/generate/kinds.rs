//! Where requests go: the kinds, and their collections.

use crate::sequence::Request;

/// A kind in a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) api_version: &'static str,
    pub(crate) namespaced: bool,
    /// Whether there is a status that is written by itself.
    pub(crate) status: bool,
    /// The names of its objects.
    pub(crate) names: [&'static str; 3],
    pub(crate) custom: bool,
}

const fn namespaced(plural: &'static str, kind: &'static str, api_version: &'static str) -> Place {
    Place {
        plural,
        kind,
        api_version,
        namespaced: true,
        status: false,
        names: ["a", "b", "c"],
        custom: false,
    }
}

const fn outside(plural: &'static str, kind: &'static str, api_version: &'static str) -> Place {
    Place {
        plural,
        kind,
        api_version,
        namespaced: false,
        status: false,
        names: ["$P-a", "$P-b", "$P-c"],
        custom: false,
    }
}

const fn with_status(place: Place) -> Place {
    Place { status: true, ..place }
}

const fn custom(place: Place) -> Place {
    Place { custom: true, ..place }
}

pub(crate) fn places() -> Vec<Place> {
    vec![
        namespaced("configmaps", "ConfigMap", "v1"),
        namespaced("secrets", "Secret", "v1"),
        namespaced("serviceaccounts", "ServiceAccount", "v1"),
        namespaced("events", "Event", "v1"),
        namespaced("events", "Event", "events.k8s.io/v1"),
        namespaced("leases", "Lease", "coordination.k8s.io/v1"),
        namespaced("roles", "Role", "rbac.authorization.k8s.io/v1"),
        namespaced("rolebindings", "RoleBinding", "rbac.authorization.k8s.io/v1"),
        outside("clusterroles", "ClusterRole", "rbac.authorization.k8s.io/v1"),
        with_status(outside("namespaces", "Namespace", "v1")),
        custom(with_status(namespaced("things", "Thing", "conformance.example.com/v1"))),
        custom(outside("gadgets", "Gadget", "conformance.example.com/v1")),
        custom(outside("gadgets", "Gadget", "conformance.example.com/v1beta1")),
        custom(with_status(namespaced("externalissuers", "ExternalIssuer", "external-issuer.io/v1alpha1"))),
        custom(with_status(outside(
            "externalclusterissuers",
            "ExternalClusterIssuer",
            "external-issuer.io/v1alpha1",
        ))),
        custom(with_status(namespaced("certificaterequests", "CertificateRequest", "cert-manager.io/v1"))),
    ]
}

impl Place {
    /// The path of the collection, in one of the namespaces.
    pub(crate) fn collection(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        if self.namespaced {
            format!("{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural)
        } else {
            format!("{root}/{}/{}", self.api_version, self.plural)
        }
    }

    /// The path of the collection over all namespaces.
    pub(crate) fn everywhere(&self) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        format!("{root}/{}/{}", self.api_version, self.plural)
    }

    pub(crate) fn object(&self, method: &str, namespace: &str, name: &str) -> Request {
        Request::new(method, format!("{}/{name}", self.collection(namespace)))
    }
}
