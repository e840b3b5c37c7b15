//! The `mock-pki` program: parse, start, say where, wait for a signal.

use std::{
    fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, process::ExitCode,
};

use mock_pki::{
    args::{Args, LogFormat, Unread},
    server::{self, EJBCA_CLIENT_ID, EJBCA_TOKEN_PATH, Running, VENAFI_PASSWORD, VENAFI_USER},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(Unread::Usage(error)) => error.exit(),
        Err(Unread::File(error)) => return failed(&error),
    };
    log(&args);
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "mock-pki: {error}");
    ExitCode::FAILURE
}

async fn run(args: &Args) -> Result<(), String> {
    let running = server::start(args.config()?).await.map_err(|error| error.to_string())?;
    if let (Some(path), Some(ca)) = (&args.tls_ca_out, &running.tls_ca) {
        write(path, ca)?;
    }
    if let (Some(folder), Some(client)) = (&args.ejbca_client_out, &running.ejbca_client) {
        std::fs::create_dir_all(folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
        write(&folder.join("client.key"), &client.key)?;
        write(&folder.join("client.pem"), &client.certificate)?;
    }
    if let Some(path) = &args.ready_file {
        write(path, &ready(&running))?;
    }
    if !args.quiet {
        let _ = std::io::stdout().write_all(banner(&running, args).as_bytes());
    }
    let failed = |error: std::io::Error| error.to_string();
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    running.stop().await
}

fn log(args: &Args) {
    let level = if args.quiet { "error" } else { "mock_pki=info" };
    let filter = EnvFilter::builder().parse_lossy(level);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// Written beside and renamed, so that who waits for the file never reads half of it; readable by its owner alone, since
/// keys and tokens are in some.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("writing {}: {error}", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

fn ready(running: &Running) -> String {
    let mut ready = serde_json::Map::new();
    for (face, url) in &running.urls {
        ready.insert(format!("{face}_url"), url.as_str().into());
    }
    ready.insert("control_url".to_owned(), running.control_url.as_str().into());
    ready.insert("unseal_key".to_owned(), running.unseal_key.as_str().into());
    if running.urls.contains_key("venafi") {
        ready.insert("venafi_user".to_owned(), VENAFI_USER.into());
        ready.insert("venafi_password".to_owned(), VENAFI_PASSWORD.into());
    }
    ready.insert("root_token".to_owned(), running.root_token.as_str().into());
    format!("{}\n", serde_json::Value::Object(ready))
}

/// How to reach the EJBCA face: with the administrator's certificate where it was written, else with a token.
fn ejbca(running: &Running, args: &Args) -> String {
    let url = running.url("ejbca");
    if url.is_empty() {
        return String::new();
    }
    let token_url = format!("{url}{EJBCA_TOKEN_PATH}");
    let trust = args
        .tls_ca_out
        .as_ref()
        .map_or("--insecure".to_owned(), |path| format!("--cacert {}", path.display()));
    let cas = format!("{url}/ejbca/ejbca-rest-api/v1/ca");
    let form = format!(
        "-d grant_type=client_credentials -d client_id={EJBCA_CLIENT_ID} -d client_secret={}",
        running.root_token
    );
    let command = match &args.ejbca_client_out {
        Some(folder) => {
            let (own, key) = (folder.join("client.pem"), folder.join("client.key"));
            format!("curl {trust} --cert {} --key {} {cas}", own.display(), key.display())
        }
        None => format!(
            "token=$(curl -s {trust} {form} {token_url} | cut -d'\"' -f4)\n  curl {trust} -H \"Authorization: Bearer $token\" {cas}"
        ),
    };
    format!("  {command}\n")
}

/// How to get a token of the Venafi face, and what to do with it.
fn venafi(running: &Running, args: &Args) -> String {
    let url = running.url("venafi");
    if url.is_empty() {
        return String::new();
    }
    let trust = args.tls_ca_out.as_ref().map_or("ca.pem".to_owned(), |path| path.display().to_string());
    format!(
        "  vcert getcred -u {url} --trust-bundle {trust} --username {VENAFI_USER} --password '{VENAFI_PASSWORD}'\n  \
         vcert enroll -u {url} --trust-bundle {trust} -t TOKEN -z Certificates --cn app.example.com --no-prompt\n"
    )
}

fn banner(running: &Running, args: &Args) -> String {
    use std::fmt::Write as _;
    let Running { control_url, root_token, .. } = running;
    let cacert =
        args.tls_ca_out.as_ref().map(|path| format!(" VAULT_CACERT={}", path.display())).unwrap_or_default();
    let lasts = match &args.state_dir {
        Some(directory) => format!("What it knows is kept in {}", directory.display()),
        None => "Everything is in memory".to_owned(),
    };
    let mut text = format!("mock-pki: a PKI for tests. {lasts}; nothing here is for production.\n\n");
    for (face, url) in &running.urls {
        let _ = writeln!(text, "  {face:12}  {url}");
    }
    let _ = writeln!(text, "  control port  {control_url}\n");
    let vault_url = running.url("vault");
    if !vault_url.is_empty() {
        let _ = writeln!(text, "  export VAULT_ADDR={vault_url} VAULT_TOKEN={root_token}{cacert}");
        let _ = writeln!(text, "  bao write pki_int/issue/web common_name=app.example.com key_type=ec");
    }
    text.push_str(&ejbca(running, args));
    text.push_str(&venafi(running, args));
    let custom_url = running.url("custom");
    if !custom_url.is_empty() {
        let _ = writeln!(
            text,
            "  curl -d 'new=1;subject=/O=Example/CN=app.example.com;DNS2=www.example.com' {custom_url}/cgi/pki.cgi"
        );
    }
    let _ = writeln!(text, "  curl {control_url}/ledger");
    let _ = writeln!(
        text,
        "  curl -d '{{\"kind\": \"status\", \"path\": \"/sign/\", \"times\": 2}}' {control_url}/faults\n"
    );
    text
}
