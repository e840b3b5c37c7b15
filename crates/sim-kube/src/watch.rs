//! Watches: one is a place in the history and a selection, and turns the writes behind that place into lines.
//!
//! The revisions of a stream only grow, and no write is left out or told twice. An object that comes to be selected
//! is ADDED, one that ceases to be is DELETED, whatever really happened to it.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::{Cluster, ExpiredWatch};
use crate::fault::Peer;
use crate::selection::Selection;
use crate::store::{Change, set_revision};
use crate::table::Form;
use crate::verbs::{NOT_OLDER_THAN, Request, parse_revision};
use crate::{Cause, Failure, Kind, Params, object, shape};

/// How long before its end a watch is told how far it is, so that the next one can go on from there.
const BEFORE_THE_END: SignedDuration = SignedDuration::from_secs(2);
/// A watch that does not say how long it lasts lasts between this and twice this.
const SHORTEST: SignedDuration = SignedDuration::from_mins(30);
/// What marks the bookmark behind the state that a watch began with.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Which watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub(crate) u64);

/// What a watch has to say now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchStep {
    /// Lines of JSON, each with its end of line.
    pub lines: Vec<Bytes>,
    /// Whether that was all there will ever be.
    pub ended: bool,
}

/// How a watch is made to end before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The stream just ends.
    End,
    /// An ERROR that its revision is too old, and the end.
    Expired,
    /// Bytes that are no event, and the end.
    Garbage(Bytes),
}

/// A watch that is open.
#[derive(Debug)]
pub(crate) struct Watch {
    kind: Arc<Kind>,
    namespace: String,
    selection: Selection,
    form: Form,
    /// Whether the headings of the table have been said.
    headed: bool,
    peer: Peer,
    /// Every write up to this revision has been told.
    cursor: u64,
    bookmarks: bool,
    next_bookmark: Timestamp,
    deadline: Timestamp,
    lines: Vec<Bytes>,
    /// Whether nothing comes after `lines`.
    over: bool,
}

impl Cluster {
    /// Opens a watch.
    pub(crate) fn watch(&mut self, request: &Request<'_>) -> Result<WatchId, Failure> {
        let params = &request.call.params;
        let selection = Selection::checked(&request.kind, params, check_options)?;
        let asked = match params.resource_version.as_str() {
            "" | "0" => None,
            text => Some(parse_revision(text).map_err(Failure::plain)?),
        };
        let seconds = params.timeout_seconds.filter(|&seconds| seconds > 0);
        let lasts = seconds.map_or_else(
            || {
                SHORTEST
                    + SignedDuration::from_secs(i64::try_from(self.chance.below(1800)).unwrap_or_default())
            },
            |seconds| SignedDuration::from_secs(i64::from(seconds)),
        );
        let mut watch = Watch {
            kind: Arc::clone(&request.kind),
            namespace: request.call.namespace.clone(),
            selection,
            form: Form::asked(request.headers, &params.include_object)?,
            headed: false,
            peer: request.peer.clone(),
            cursor: 0,
            bookmarks: params.allow_watch_bookmarks,
            next_bookmark: next_bookmark(request.now, self.options.bookmark_every, after(request.now, lasts)),
            deadline: after(request.now, lasts),
            lines: Vec::new(),
            over: false,
        };
        // Only who asks for any revision may be shown an old one.
        let view =
            if params.resource_version == "0" { self.view(request.peer) } else { self.store.revision() };
        match (params.send_initial_events, asked) {
            (Some(true), asked) => {
                if let Some(asked) = asked.filter(|&asked| asked > view) {
                    return Err(Failure::too_large_resource_version(asked, view));
                }
                self.begin_with_state(request, &mut watch, view);
                if watch.bookmarks {
                    watch.bookmark(true, request.now);
                }
            }
            (None, None) => {
                self.begin_with_state(request, &mut watch, view);
                if watch.bookmarks {
                    watch.bookmark(true, request.now);
                }
            }
            (Some(false), None) => watch.cursor = view,
            (_, Some(asked)) => {
                watch.cursor = asked;
                if asked < self.store.compacted() {
                    let failure = too_old(asked, self.store.compacted());
                    if self.options.expired_watch == ExpiredWatch::Status {
                        return Err(failure);
                    }
                    watch.fail(&failure);
                }
            }
        }
        self.next_watch += 1;
        let id = WatchId(self.next_watch);
        self.watches.insert(id, watch);
        Ok(id)
    }

    /// What a watch has to say at `now`. A watch that is not there has ended.
    pub fn poll_watch(&mut self, id: WatchId, now: Timestamp) -> WatchStep {
        let Some(mut watch) = self.watches.remove(&id) else {
            return WatchStep { ended: true, ..WatchStep::default() };
        };
        let view = self.view(&watch.peer);
        if !watch.over && watch.cursor < self.store.compacted() {
            // It was held up for longer than the history goes back: what it missed cannot be told any more.
            watch.fail(&too_old(watch.cursor, self.store.compacted()));
        }
        if !watch.over {
            watch.catch_up(
                now,
                self.store.changes_after(watch.cursor).take_while(|change| change.revision <= view),
            );
            watch.cursor = watch.cursor.max(view);
            let served =
                self.registry.find(&watch.kind.group, &watch.kind.version, &watch.kind.plural).is_some();
            watch.over = now >= watch.deadline || !served;
            if watch.bookmarks && !watch.over && now >= watch.next_bookmark {
                watch.bookmark(false, now);
                watch.next_bookmark = next_bookmark(now, self.options.bookmark_every, watch.deadline);
            }
        }
        let step = WatchStep { lines: std::mem::take(&mut watch.lines), ended: watch.over };
        if !step.ended {
            self.watches.insert(id, watch);
        }
        step
    }

    /// When a watch has something to say even if nobody writes anything.
    #[must_use]
    pub fn watch_deadline(&self, id: WatchId) -> Option<Timestamp> {
        let watch = self.watches.get(&id)?;
        Some(if watch.bookmarks { watch.deadline.min(watch.next_bookmark) } else { watch.deadline })
    }

    /// Forgets a watch that nobody listens to any more.
    pub fn close_watch(&mut self, id: WatchId) {
        self.watches.remove(&id);
    }

    /// Ends the open watches of a client, or of all clients, the way `cut` says. Returns how many there were.
    pub fn cut_watches(&mut self, peer: Option<&Peer>, cut: &Cut) -> usize {
        let revision = self.store.revision();
        let mut count = 0;
        for watch in self.watches.values_mut().filter(|watch| peer.is_none_or(|peer| watch.peer == *peer)) {
            match cut {
                Cut::End => {}
                Cut::Expired => watch.fail(&too_old(watch.cursor, revision)),
                Cut::Garbage(bytes) => watch.lines.push(bytes.clone()),
            }
            watch.over = true;
            count += 1;
        }
        count
    }

    /// How many watches are open. One that was cut is not, also if it has something left to say.
    #[must_use]
    pub fn open_watches(&self) -> usize {
        self.watches.values().filter(|watch| !watch.over).count()
    }

    /// Tells what is there as if it had just come.
    fn begin_with_state(&self, request: &Request<'_>, watch: &mut Watch, revision: u64) {
        for stored in self.at(request, revision).values() {
            let object = shape::from_stored(&watch.kind, stored);
            if watch.selection.matches(&object) {
                watch.tell("ADDED", &object, request.now);
            }
        }
        watch.cursor = revision;
    }
}

impl Watch {
    fn catch_up<'a>(&mut self, now: Timestamp, changes: impl Iterator<Item = &'a Change>) {
        let prefix = if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) };
        for change in changes {
            self.cursor = change.revision;
            if change.resource != self.kind.storage || !change.path.starts_with(&prefix) {
                continue;
            }
            let all = self.selection.is_everything();
            let selected = |stored: &Option<Arc<Value>>| {
                let object = shape::from_stored(&self.kind, stored.as_ref()?);
                (all || self.selection.matches(&object)).then_some(object)
            };
            let was = if all { change.old.is_some() } else { selected(&change.old).is_some() };
            match (was, selected(&change.new)) {
                (false, None) => {}
                (false, Some(object)) => self.tell("ADDED", &object, now),
                (true, Some(object)) => self.tell("MODIFIED", &object, now),
                (true, None) => {
                    let Some(mut object) = selected(&change.old) else { continue };
                    set_revision(&mut object, change.revision);
                    self.tell("DELETED", &object, now);
                }
            }
        }
    }

    fn bookmark(&mut self, ends_initial_events: bool, now: Timestamp) {
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if ends_initial_events {
            object::put(&mut metadata, "annotations", Some(json!({INITIAL_EVENTS_END: "true"})));
        }
        let object =
            json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        self.tell("BOOKMARK", &object, now);
    }

    fn fail(&mut self, failure: &Failure) {
        self.say("ERROR", &failure.to_value());
        self.over = true;
    }

    /// An event about an object, in the form that the client asked for.
    fn tell(&mut self, kind: &str, object: &Value, now: Timestamp) {
        let headings = !self.headed;
        self.headed = true;
        if self.form == Form::Object {
            return self.say(kind, object);
        }
        let object = self.form.render(&self.kind, object, headings, now);
        self.say(kind, &object);
    }

    fn say(&mut self, kind: &str, object: &Value) {
        // Written as it stands: to put the object into another value would copy it.
        self.lines.push(Bytes::from(format!("{{\"object\":{object},\"type\":\"{kind}\"}}\n")));
    }
}

/// When a watch is next told how far it is.
fn next_bookmark(now: Timestamp, every: SignedDuration, deadline: Timestamp) -> Timestamp {
    let last = deadline.saturating_sub(BEFORE_THE_END).unwrap_or(deadline);
    let next = after(now, every);
    if last > now { next.min(last) } else { next }
}

fn too_old(asked: u64, oldest: u64) -> Failure {
    Failure::expired(format!("too old resource version: {asked} ({oldest})"))
}

fn check_options(params: &Params) -> Result<(), Failure> {
    let mut causes = Vec::new();
    let field = "resourceVersionMatch";
    let matching = params.resource_version_match.as_str();
    if params.send_initial_events.is_some() && matching != NOT_OLDER_THAN {
        let why = format!("sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}");
        causes.push(Cause::forbidden(field, &why));
    }
    if !matching.is_empty() {
        if params.send_initial_events.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(Cause::forbidden(field, why));
        }
        if matching != NOT_OLDER_THAN {
            causes.push(Cause::not_supported(field, &json!(matching), &[NOT_OLDER_THAN]));
        }
        if !params.continue_token.is_empty() {
            causes
                .push(Cause::forbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid("meta.k8s.io", "ListOptions", "", causes)) }
}

/// `time` + `duration`, ending at the end of time.
pub(crate) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
