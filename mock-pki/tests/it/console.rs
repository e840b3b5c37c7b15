//! The console page in a real browser: Chromium, driven by its own driver, without a window.
//!
//! Skipped where `chromium` and `chromedriver` are missing, unless `EXTERNAL_ISSUER_REQUIRE_CHROMIUM=1`. With
//! `UPDATE=1` it writes the picture in the README anew.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failed step of a test is a failed test, and a skipped one says so"
)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::common::{Vault, csr, mock};
use fantoccini::{Client, ClientBuilder, Locator, key::Key};
use mock_pki::{
    Fault,
    server::{EJBCA_CLIENT_ID, EJBCA_TOKEN_PATH, Running},
};
use serde_json::{Value, json};

/// Chromium's driver, which ends with the test.
struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    fn start() -> Option<Self> {
        let there = |program| Command::new(program).arg("--version").output().is_ok();
        if !there("chromium") || !there("chromedriver") {
            let absent =
                "chromium or chromedriver is missing: Debian has both, as chromium and chromium-driver";
            assert!(std::env::var("EXTERNAL_ISSUER_REQUIRE_CHROMIUM").as_deref() != Ok("1"), "{absent}");
            println!("skipped: {absent}");
            return None;
        }
        let mut child = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let port = line.split_once("started successfully on port ")?.1;
            Some(port.trim_end_matches('.').to_owned())
        });
        Some(Self { child, url: format!("http://127.0.0.1:{}", port.unwrap()) })
    }

    async fn browser(&self, scheme: &str) -> Client {
        let mut arguments =
            vec!["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1100"];
        if scheme == "dark" {
            arguments.push("--blink-settings=preferredColorScheme=0");
        }
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let capabilities = options.as_object().unwrap().clone();
        // The driver is on this machine: there is nothing to encrypt.
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        ClientBuilder::new(connector).capabilities(capabilities).connect(&self.url).await.unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for an element that a path finds.
async fn see(page: &Client, path: &str) -> fantoccini::elements::Element {
    page.wait().for_element(Locator::XPath(path)).await.unwrap()
}

/// A row of one of the tables that contains these texts.
fn row(table: &str, texts: &[&str]) -> String {
    let parts = texts.iter().map(|text| format!("[contains(., '{text}')]"));
    format!("//tbody[@id='{table}']/tr{}", parts.collect::<String>())
}

async fn press(page: &Client, label: &str) {
    see(page, &format!("//button[@aria-label='{label}' or normalize-space()='{label}']"))
        .await
        .click()
        .await
        .unwrap();
}

/// A client of the EJBCA face with a token, and what it is answered to an enrolment.
async fn enrol(running: &Running, name: &str) -> (u16, Value) {
    let trusted = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let base = running.url("ejbca");
    let form = format!("grant_type=client_credentials&client_id={EJBCA_CLIENT_ID}&client_secret=root");
    let token: Value = client
        .post(format!("{base}{EJBCA_TOKEN_PATH}"))
        .body(form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let body = json!({
        "certificate_request": csr(name).0,
        "certificate_profile_name": "SERVER",
        "end_entity_profile_name": "EMPTY",
        "certificate_authority_name": "ManagementCA",
        "username": name,
        "password": "secret",
    });
    let asked = client
        .post(format!("{base}/ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll"))
        .bearer_auth(token["access_token"].as_str().unwrap())
        .json(&body);
    let answer = asked.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_seen_and_what_is_pressed_happens() {
    let Some(driver) = Driver::start() else { return };
    let (running, control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let page = driver.browser("light").await;
    page.goto(&running.control_url).await.unwrap();

    // Issue, and see it appear.
    let sign = json!({ "csr": csr("app.example.com").0, "alt_names": "app.example.com" });
    assert_eq!(vault.write("pki_int/sign/web", sign.clone()).await.status, 200);
    see(&page, &row("ledger", &["app.example.com", "vault pki_int/sign/web", "valid"])).await;
    see(&page, &row("journal", &["POST /v1/pki_int/sign/web", "200"])).await;

    // What it says, by the keyboard alone.
    let serial = control.ledger().await.unwrap()[0].serial.clone();
    let open = see(&page, &format!("//button[contains(@aria-label, '{serial}')]")).await;
    open.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
    see(&page, "//section[@id='certificate' and not(@hidden)]//div[contains(., 'DNS: app.example.com')]")
        .await;
    see(
        &page,
        "//section[@id='certificate']//div[contains(., 'subject:') and contains(., 'app.example.com')]",
    )
    .await;
    let focused = page.active_element().await.unwrap();
    assert_eq!(focused.attr("id").await.unwrap().as_deref(), Some("certificate-title"));

    // Install a fault, meet it, remove it.
    let kind = page.find(Locator::Id("fault-kind")).await.unwrap();
    kind.select_by_value("status").await.unwrap();
    page.find(Locator::Id("fault-path")).await.unwrap().send_keys("/sign/").await.unwrap();
    page.find(Locator::Id("fault-times")).await.unwrap().send_keys("2").await.unwrap();
    press(&page, "install").await;
    see(&page, &row("faults", &["status", "path /sign/", "0 of 2"])).await;
    assert_eq!(vault.write("pki_int/sign/web", sign.clone()).await.status, 503);
    see(&page, &row("faults", &["status", "1 of 2"])).await;
    see(&page, &row("journal", &["503", "status"])).await;
    let id = control.faults().await.unwrap()[0].id;
    press(&page, &format!("remove status {id}")).await;
    see(&page, &row("faults", &["none"])).await;
    assert_eq!(vault.write("pki_int/sign/web", sign).await.status, 200);

    // What the port refuses is said.
    page.execute("document.getElementById('fault-parameters').value = '{\"no\": 1}'", vec![]).await.unwrap();
    press(&page, "install").await;
    see(&page, "//div[@id='said'][contains(., 'unknown field')]").await;

    // Approve a request that waits.
    control.install(Fault::new("pending").on_face("ejbca")).await.unwrap().keep();
    let (status, answer) = enrol(&running, "waits.example.com").await;
    assert_eq!(status, 202, "{answer}");
    see(&page, &row("approvals", &["waits.example.com", "ejbca"])).await;
    if std::env::var("UPDATE").as_deref() == Ok("1") {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/console.png"), page.screenshot().await.unwrap())
            .unwrap();
    }
    press(&page, "approve waits.example.com").await;
    see(&page, &row("approvals", &["none"])).await;
    let approvals = control.approvals().await.unwrap();
    assert_eq!(approvals[0].decision, mock_pki::client::Decision::Approved);

    // The clock, and the seal.
    press(&page, "stop").await;
    see(&page, "//*[@id='clock-state' and .='stopped']").await;
    press(&page, "+30 d").await;
    page.wait().for_element(Locator::XPath("//button[@id='stop' and .='go on']")).await.unwrap();
    assert!(control.clock().await.unwrap().ahead_milliseconds > 29 * 86_400_000);
    press(&page, "seal Vault").await;
    see(&page, "//*[@id='link' and .='live']").await;
    assert_eq!(vault.read("pki_int/roles/web").await.status, 503);
    page.close().await.unwrap();
}

/// Nothing of the page is wider than a window, be it a telephone's, in either scheme, and text stands out from its ground as WCAG asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_readable_on_a_telephone_and_on_a_screen_in_light_and_dark() {
    let Some(driver) = Driver::start() else { return };
    let (running, _control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let sign = json!({ "csr": csr("app.example.com").0, "alt_names": "app.example.com" });
    assert_eq!(vault.write("pki_int/sign/web", sign).await.status, 200);
    for scheme in ["light", "dark"] {
        let page = driver.browser(scheme).await;
        for width in [390, 1400] {
            page.set_window_size(width, 844).await.unwrap();
            page.goto(&running.control_url).await.unwrap();
            see(&page, &row("ledger", &["app.example.com"])).await;
            let measured = page.execute(MEASURE, vec![]).await.unwrap();
            assert_eq!(measured["dark"], scheme == "dark");
            assert_eq!(measured["wider"], json!([]), "{scheme}, {width} wide");
            assert_eq!(measured["faint"], json!([]), "{scheme}");
        }
        page.close().await.unwrap();
    }
}

/// What is wider than the window outside of what scrolls, and what contrasts with its ground by less than 4.5 : 1.
const MEASURE: &str = "
const luminance = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!color.endsWith(', 0)') && color !== 'transparent') return color;
  }
  return 'rgb(255, 255, 255)';
};
const shown = [...document.querySelectorAll('body *')].filter((one) => one.getClientRects().length);
const named = (one) => `${one.tagName} ${one.id} ${one.textContent.trim().slice(0, 30)}`;
const faint = shown.filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
  .filter((one) => {
    const [a, b] = [getComputedStyle(one).color, ground(one)].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map(named);
const wider = shown.filter((one) => !one.closest('.scroll') && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(named);
return {faint, wider, dark: matchMedia('(prefers-color-scheme: dark)').matches};
";
