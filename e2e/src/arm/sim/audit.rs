//! What the simulated API server was asked, as its audit log would tell it.

use std::sync::{Arc, Mutex, PoisonError};

use sim_kube::client::{Answered, Server};

use crate::Result;
use crate::audit::{Audit, Call};

/// Every call so far.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<Call>>);

impl Heard {
    pub(super) fn listen(self: &Arc<Self>, server: &Server) {
        let heard = Arc::clone(self);
        server.on_answer(move |answered| {
            // Documents and health checks concern nobody.
            if let Some(call) = read(answered) {
                heard.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            }
        });
    }
}

fn read(answered: &Answered<'_>) -> Option<Call> {
    let call = answered.call?;
    let resource = match call.subresource.as_str() {
        "" => call.plural.clone(),
        subresource => format!("{}/{subresource}", call.plural),
    };
    Some(Call {
        user: answered.user.name.clone(),
        verb: call.verb.as_str().to_owned(),
        resource,
        namespace: call.namespace.clone(),
        name: call.name.clone(),
        code: answered.code.as_u16(),
        uri: answered.uri.to_string(),
    })
}

impl Audit for Heard {
    fn calls(&self, select: &dyn Fn(&Call) -> bool) -> Result<Vec<Call>> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(calls.iter().filter(|call| select(call)).cloned().collect())
    }
}
