//! What can go wrong: the operation, the object, and what to do.

use std::io;
use std::path::PathBuf;

/// The load generator's error.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No way to the API server.
    #[error("no usable kubeconfig: give --kubeconfig, or set KUBECONFIG")]
    Kubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A call to the API server failed.
    #[error("could not {operation}")]
    Api {
        /// What was tried.
        operation: String,
        /// The answer.
        #[source]
        source: kube::Error,
    },
    /// A file could not be read or written.
    #[error("could not {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The requests were not all answered in time.
    #[error("{finished} of {count} requests were answered within {seconds} s; {example}")]
    Timeout {
        /// Answered.
        finished: usize,
        /// All.
        count: usize,
        /// The time there was.
        seconds: u64,
        /// One that was not, and what its status says.
        example: String,
    },
    /// The issuer's process ended, or could not be started.
    #[error("{0}")]
    Process(String),
    /// A key or CSR could not be made.
    #[error("could not make a certificate signing request")]
    Csr(#[source] rcgen::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What the load generator's functions return.
pub type Result<T> = std::result::Result<T, LoadError>;

impl LoadError {
    /// For `map_err`: a call to the API server failed.
    pub(crate) fn api(operation: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Api { operation, source }
    }

    /// For `map_err`: a file could not be used.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}
