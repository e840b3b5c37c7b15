//! What the simulated API server was asked, as its audit log would tell it.

use std::sync::{Arc, Mutex, PoisonError};

use sim_kube::client::{Served, Server};

use crate::Result;
use crate::audit::{Audit, Call};

/// Every call so far.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<Call>>);

impl Heard {
    pub(super) fn listen(self: &Arc<Self>, server: &Server) {
        let heard = Arc::clone(self);
        server.on_call(move |served| {
            // Documents and health checks concern nobody, and what did not arrive was not asked.
            if let Some(call) = read(served) {
                heard.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            }
        });
    }
}

fn read(served: &Served) -> Option<Call> {
    let (call, code) = (served.call.as_ref()?, served.code?);
    let resource = match call.subresource.as_str() {
        "" => call.plural.clone(),
        subresource => format!("{}/{subresource}", call.plural),
    };
    Some(Call {
        user: served.user.name.clone(),
        verb: call.verb.as_str().to_owned(),
        resource,
        namespace: call.namespace.clone(),
        name: call.name.clone(),
        code,
        uri: served.uri.to_string(),
    })
}

impl Audit for Heard {
    fn calls(&self, select: &dyn Fn(&Call) -> bool) -> Result<Vec<Call>> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(calls.iter().filter(|call| select(call)).cloned().collect())
    }
}
