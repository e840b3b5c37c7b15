//! The HTTPS skin, with clients that were not written for it: kube's own over TLS, and kubectl where it is
//! installed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use sim_kube::https::Https;
use sim_kube::server::{Clock, Server};
use sim_kube::{Cluster, Identity, Options};

async fn https() -> Https {
    let clock = Clock::starting_at("2026-11-24T08:00:00Z".parse::<Timestamp>().unwrap());
    let server = Server::new(Cluster::new(Options::default(), clock.now()), clock);
    Https::listen(server, "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn an_administrator_may_do_everything_and_others_what_their_roles_say() {
    let https = https().await;
    let admin = client(&https.admin_kubeconfig().unwrap()).await;
    let map: ConfigMap = serde_json::from_str(r#"{"metadata": {"name": "a"}, "data": {"k": "v"}}"#).unwrap();
    Api::default_namespaced(admin).create(&PostParams::default(), &map).await.unwrap();

    let reader =
        client(&https.kubeconfig(&Identity::user("ann", ["system:monitoring", "viewers"])).unwrap()).await;
    let secrets = Api::<Secret>::default_namespaced(reader);
    let Err(kube::Error::Api(refused)) = secrets.list(&ListParams::default()).await else {
        panic!("not refused")
    };
    assert_eq!(
        refused.message,
        "secrets is forbidden: User \"ann\" cannot list resource \"secrets\" in API group \"\" in the namespace \
         \"default\""
    );
    https.stop().await;
}

/// kubectl against a cluster.
struct Kubectl {
    home: tempfile::TempDir,
}

impl Kubectl {
    /// Nothing where kubectl is not installed.
    fn find(kubeconfig: &str) -> Option<Self> {
        Command::new("kubectl").args(["version", "--client"]).stdout(Stdio::null()).status().ok()?;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), kubeconfig).unwrap();
        Some(Self { home })
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("kubectl");
        command.args(line.split_whitespace());
        command.arg("--cache-dir").arg(self.home.path().join("cache"));
        command.env("KUBECONFIG", self.home.path().join("config"));
        command
    }

    /// What a command says, in one text: standard output and error.
    async fn says(&self, line: &str) -> String {
        self.is_told(line, "").await
    }

    async fn is_told(&self, line: &str, input: &str) -> String {
        let (mut command, input) = (self.command(line), input.to_owned());
        let Output { stdout, stderr, .. } = tokio::task::spawn_blocking(move || {
            let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        })
        .await
        .unwrap();
        String::from_utf8([stdout, stderr].concat()).unwrap()
    }
}

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.io}
spec:
  group: example.io
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wi]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget.
        properties:
          spec: {type: object, properties: {size: {type: integer, description: How large it is.}}}
          status:
            type: object
            properties:
              conditions:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [type]
                items: {type: object, required: [type], properties: {type: {type: string}, status: {type: string}}}
"#;

fn objects(size: u8) -> String {
    format!(
        "apiVersion: example.io/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{size: {size}}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, labels: {{app: web}}}}\ndata: {{size: \"{size}\"}}\n"
    )
}

#[tokio::test]
async fn a_server_that_stops_ends_the_watches_first() {
    let https = https().await;
    let admin = client(&https.admin_kubeconfig().unwrap()).await;
    let maps = Api::<ConfigMap>::default_namespaced(admin);
    let mut events = Box::pin(maps.watch(&WatchParams::default(), "0").await.unwrap());
    https.stop().await;
    // Behind the state that it began with comes the end.
    while let Some(event) = events.next().await {
        assert!(matches!(event, Ok(WatchEvent::Added(_) | WatchEvent::Bookmark(_))), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_a_cluster_to_work_with() {
    let https = https().await;
    let Some(kubectl) = Kubectl::find(&https.admin_kubeconfig().unwrap()) else {
        println!("skipped: kubectl is not installed");
        return;
    };
    assert_eq!(
        kubectl.is_told("apply -f -", DEFINITION).await,
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.io created\n"
    );
    assert_eq!(
        kubectl.says("wait --for=condition=Established crd/widgets.example.io --timeout=10s").await,
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.io condition met\n"
    );

    // Applying, by the client and by the server.
    assert_eq!(
        kubectl.is_told("apply -f -", &objects(1)).await,
        "widget.example.io/w created\nconfigmap/c created\n"
    );
    assert_eq!(
        kubectl.is_told("apply -f -", &objects(1)).await,
        "widget.example.io/w unchanged\nconfigmap/c unchanged\n"
    );
    assert_eq!(
        kubectl.is_told("apply -f -", &objects(2)).await,
        "widget.example.io/w configured\nconfigmap/c configured\n"
    );
    assert_eq!(
        kubectl.is_told("apply --server-side --force-conflicts -f -", &objects(3)).await,
        "widget.example.io/w serverside-applied\nconfigmap/c serverside-applied\n"
    );
    let unknown = "apiVersion: example.io/v1\nkind: Widget\nmetadata: {name: x}\nspec: {sise: 1}\n";
    assert_eq!(
        kubectl.is_told("apply -f -", unknown).await,
        "Error from server (BadRequest): error when creating \"STDIN\": Widget in version \"v1\" cannot be handled as \
         a Widget: strict decoding error: unknown field \"spec.sise\"\n"
    );

    // Reading.
    let table = kubectl.says("get wi").await;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0].join(" "), rows[1].join(" ")), ("NAME SIZE READY".to_owned(), "w 3".to_owned()));
    assert_eq!(kubectl.says("get cm c -o jsonpath={.data.size}").await, "3");
    assert_eq!(kubectl.says("get cm -l app=web -o name").await, "configmap/c\n");
    assert!(kubectl.says("describe cm c").await.contains("Labels:       app=web\n"));
    assert!(kubectl.says("describe wi w").await.contains("Size:  3\n"));
    assert!(
        kubectl
            .says("get secret none")
            .await
            .contains("Error from server (NotFound): secrets \"none\" not found")
    );
    assert!(kubectl.says("explain widgets.spec.size").await.contains("How large it is."));
    assert!(kubectl.says("explain secret.data").await.contains("Data contains the secret data."));
    assert!(
        kubectl
            .says("api-resources --api-group=example.io")
            .await
            .contains("widgets   wi           example.io/v1   true         Widget")
    );
    assert!(kubectl.says("version").await.contains("Server Version: v1.36.3"));

    // Changing.
    assert_eq!(kubectl.says("label cm c a=b").await, "configmap/c labeled\n");
    assert_eq!(kubectl.says("annotate wi w a=b").await, "widget.example.io/w annotated\n");
    assert_eq!(kubectl.says(r#"patch cm c -p {"data":{"b":"c"}}"#).await, "configmap/c patched\n");
    let ready = r#"patch wi w --subresource=status --type=merge -p {"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    assert_eq!(kubectl.says(ready).await, "widget.example.io/w patched\n");
    assert_eq!(
        kubectl.says("wait --for=condition=Ready wi/w --timeout=10s").await,
        "widget.example.io/w condition met\n"
    );

    // Access.
    assert_eq!(kubectl.says("auth can-i create secrets").await, "yes\n");
    assert_eq!(kubectl.says("auth can-i create secrets --as ann").await, "no\n");
    assert_eq!(
        kubectl.says("get secrets --as ann").await,
        "Error from server (Forbidden): secrets is forbidden: User \"ann\" cannot list resource \"secrets\" in API \
         group \"\" in the namespace \"default\"\n"
    );
    assert_eq!(kubectl.says("create serviceaccount robot").await, "serviceaccount/robot created\n");
    assert_eq!(kubectl.says("create token robot").await.split('.').count(), 3);
    let robot = Kubectl::find(&https.service_account_kubeconfig("default", "robot").unwrap()).unwrap();
    assert!(robot.says("auth whoami").await.contains("system:serviceaccount:default:robot"));

    // Following: what is there, and what comes.
    let mut follow = kubectl.command("get cm -w -o name");
    let follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let waiting = tokio::task::spawn_blocking(move || {
        let mut follow = follow;
        let lines = std::io::BufRead::lines(std::io::BufReader::new(follow.stdout.take().unwrap()));
        let heard: Vec<String> = lines.map(Result::unwrap).take(3).collect();
        follow.kill().unwrap();
        follow.wait().unwrap();
        heard
    });
    assert_eq!(kubectl.says("create cm d").await, "configmap/d created\n");
    // What is there comes by name, and what comes then comes behind it, or was there already.
    let mut heard = waiting.await.unwrap();
    heard.sort_unstable();
    assert_eq!(heard, ["configmap/c", "configmap/d", "configmap/kube-root-ca.crt"]);

    // Deleting, which waits until the object is gone.
    assert_eq!(kubectl.says("delete wi w").await, "widget.example.io \"w\" deleted\n");
    assert_eq!(
        kubectl.says("delete crd widgets.example.io").await,
        "customresourcedefinition.apiextensions.k8s.io \"widgets.example.io\" deleted\n"
    );
    assert!(!kubectl.says("api-resources --cached=false").await.contains("widgets"));
    https.stop().await;
}
