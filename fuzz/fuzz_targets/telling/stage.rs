//! A worker's engine, with all that renders a value at its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use playbooks::{
    act::{
        Advance, ClusterPolicy, Destination, Destinations, Engine, EngineParts, Failure,
        GuardrailOptions, Guardrails, Needs, Notification, NotifierConfig, Notifiers, Occurrence,
        Outgoing, Pace, Plan, Registry, Resources, Response, Sink, Standing,
    },
    decide::{Event, Mode, read_text},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::{cluster, look};

pub const CONTAINER: &str = "6ac7d190134e";

pub struct Stage {
    runtime: Runtime,
    engine: Engine,
    plan: Arc<Plan>,
}

/// Looks at what every sink would send.
struct Tap(Notifiers);

#[async_trait]
impl Sink for Tap {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let mut with_others = message.owned();
        with_others.more = vec![Arc::new(message.owned()); 20];
        for message in [message, &with_others] {
            self.0.previews(message).iter().for_each(|(name, body)| look::at_body(name, body));
        }
        Ok(())
    }

    fn pace(&self) -> Option<Pace> {
        None
    }
}

/// Looks at what is left of an event.
struct Topic;

#[async_trait]
impl Destination for Topic {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), Failure> {
        look::at_forwarded(outgoing);
        Ok(())
    }
}

impl Stage {
    pub fn new() -> Stage {
        let runtime = Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { panic!("no runtime") };
        let tap = Tap(sinks());
        let Ok(notifiers) = Notifiers::default().with("tap", Arc::new(tap)) else {
            panic!("a name that is taken")
        };
        let notifiers = Arc::new(notifiers);
        let guardrails = match Guardrails::new(GuardrailOptions::default()) {
            Ok(guardrails) => guardrails,
            Err(error) => panic!("{error}"),
        };
        let resources = Resources::new(Arc::clone(&notifiers))
            .with_destinations(Destinations::new().with("topic", Arc::new(Topic)));
        let playbook = match read_text("fuzz", include_str!("../../telling.yaml")) {
            Ok(mut playbooks) => playbooks.remove(0),
            Err(errors) => panic!("{errors}"),
        };
        let plan = match Registry::standard().bind(&playbook, &resources) {
            Ok(plan) => Arc::new(plan),
            Err(errors) => panic!("{errors}"),
        };
        let engine = Engine::new(EngineParts {
            api: Some(cluster::serve()),
            cluster: ClusterPolicy::default(),
            guardrails,
            notifiers,
            mode_cap: Mode::Enforce,
            action_timeout: Duration::from_secs(4),
        });
        Stage { runtime, engine, plan }
    }

    /// Answers the event, to the end.
    pub fn play(&self, event: &Value) {
        let payload = event.to_string().into_bytes();
        let Ok(event) = Event::decode(&payload) else { panic!("no event") };
        let (Ok(claim), Ok(id)) = (event.claim(), event.id(None)) else { return };
        let Ok(occurrence) = Occurrence::new(&event, id, None, payload.clone().into(), None) else {
            return;
        };
        self.runtime.block_on(async {
            let verified = self.engine.verify(&claim, &occurrence, Needs::default()).await;
            let Some(standing) = verified.ok().and_then(Standing::of) else { return };
            let mut response =
                Response::new(Arc::clone(&self.plan), standing, Arc::new(occurrence));
            match self.engine.advance(&mut response, &CancellationToken::new()).await {
                Advance::Finished(report) => {
                    let Some(told) = report.steps.last() else { panic!("nothing was done") };
                    assert_eq!((told.action, told.outcome.as_str()), ("notify", "applied"));
                }
                other => panic!("not finished: {other:?}"),
            }
        });
    }
}

/// One of each kind; none of them is ever called.
fn sinks() -> Notifiers {
    let credentials = json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"
    });
    let configs: Result<BTreeMap<String, NotifierConfig>, _> = serde_json::from_value(json!({
        "slack": {"slack": {"url": "http://localhost/"}},
        "webhook": {"webhook": {"url": "http://localhost/"}},
        "cloudEvents": {"cloudEvents": {"url": "http://localhost/"}},
        "falcosidekick": {"falcosidekick": {"url": "http://localhost/"}},
        "kubernetesEvents": {"kubernetesEvents": {}},
        "xsoar": {"xsoar": {"url": "http://localhost/", "apiKey": "k"}},
        "splunkSoar": {"splunkSoar": {"url": "http://localhost/", "token": "t"}},
        "securityCommandCenter": {"securityCommandCenter": {
            "source": "organizations/1/sources/2", "credentials": credentials.to_string()
        }},
    }));
    let notifiers = match configs {
        Ok(configs) => Notifiers::new(&configs, &[], Duration::from_secs(1)),
        Err(error) => panic!("{error}"),
    };
    match notifiers {
        Ok(notifiers) => notifiers,
        Err(error) => panic!("{error}"),
    }
}
