use playbooks::{
    act::{Gone, Uid},
    decide::{ClaimSource, Event},
};
use serde_json::json;

use super::*;

/// Of a pod that names a container.
fn claim(name: &str) -> Claim {
    Claim {
        source: ClaimSource::Container,
        namespace: Some("shop".to_owned()),
        pod: Some(name.to_owned()),
        pod_uid: None,
        container_id: Some("6ac7d190134e".to_owned()),
        node: None,
        audit_id: None,
    }
}

fn said(name: &str) -> Arc<Said> {
    Arc::new(Said { cluster: None, claim: claim(name), sandbox: None })
}

fn occurrence() -> Occurrence {
    let payload =
        json!({"rule": "a", "priority": "Notice", "time": at(100).to_string(), "output": ""})
            .to_string();
    let event = Event::decode(payload.as_bytes()).unwrap();
    let id = event.id(None).unwrap();
    Occurrence::new(&event, id, None, payload.clone().into(), None).unwrap()
}

#[test]
fn a_name_alone_speaks_for_nobody_else() {
    let by = |claim: Claim| Said::by(&claim, &occurrence());
    let uid = || Some("0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90".to_owned());
    assert!(by(claim("web")).is_some());
    assert!(by(Claim { container_id: None, pod_uid: uid(), ..claim("web") }).is_some());
    assert!(by(Claim { container_id: None, ..claim("web") }).is_none());
    let audit = || ClaimSource::Audit { resource: Some("pods".to_owned()) };
    for source in [audit(), ClaimSource::Host, ClaimSource::None] {
        assert!(by(Claim { source, pod_uid: uid(), ..claim("web") }).is_none());
    }
}

fn of(uid: &str) -> Concern {
    Concern::Target(Uid::new(uid))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Of a pod that was created at 100, and which of these playbooks select it now.
fn sighting(uid: &str, judged: &[(PlanNumber, bool)]) -> Sighting {
    let at_once = Instant::now();
    let judged =
        judged.iter().map(|(plan, selects)| Judged { plan: *plan, selects: *selects, at: at_once });
    Sighting { concern: of(uid), from: at(100), judged: judged.collect() }
}

#[tokio::test]
async fn what_was_seen_holds_for_the_same_words_and_not_before_the_pod_was_there() {
    let sightings = Sightings::default();
    sightings.remember(&said("web"), sighting("a", &[]));
    assert_eq!(sightings.recall(&said("web"), at(100)).unwrap().concern, of("a"));
    assert_eq!(sightings.recall(&said("web"), at(99)), None);
    assert_eq!(sightings.recall(&said("db"), at(100)), None);
}

#[tokio::test(start_paused = true)]
async fn that_a_pod_is_none_of_a_playbooks_holds_for_a_moment() {
    let sightings = Sightings::default();
    let is_stranger = |plan| sightings.recall(&said("web"), at(100)).unwrap().is_stranger_to(plan);
    let [unasked, first, second, third] = std::array::from_fn(|_| PlanNumber::next());
    sightings.remember(&said("web"), sighting("a", &[(first, false), (third, false)]));
    tokio::time::advance(FRESH / 2).await;
    sightings.remember(&said("web"), sighting("a", &[(second, false), (third, true)]));
    assert!(!is_stranger(unasked), "it was not asked");
    assert!(is_stranger(first) && is_stranger(second));
    assert!(!is_stranger(third), "its labels have changed");
    tokio::time::advance(FRESH / 2).await;
    assert!(!is_stranger(first) && is_stranger(second));
    // Of another pod nothing is known.
    sightings.remember(&said("web"), sighting("b", &[]));
    assert!(!is_stranger(second));
}

#[tokio::test(start_paused = true)]
async fn what_playbooks_made_of_a_pod_is_forgotten_with_them() {
    let sightings = Sightings::default();
    for _ in 0..10 {
        sightings.remember(&said("web"), sighting("a", &[(PlanNumber::next(), false)]));
        tokio::time::advance(FRESH).await;
    }
    assert_eq!(sightings.recall(&said("web"), at(100)).unwrap().judged.len(), 1);
}

#[tokio::test]
async fn one_looks_and_the_others_wait_for_its_end() {
    let sightings = Sightings::default();
    let Look::Ours(looking) = sightings.look(&said("web")) else { panic!("nobody else looks") };
    let Look::Theirs(theirs) = sightings.look(&said("web")) else { panic!("somebody looks") };
    assert!(matches!(sightings.look(&said("db")), Look::Ours(_)));
    let waiting = tokio::spawn(theirs.ended());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(looking);
    waiting.await.unwrap();
    assert!(matches!(sightings.look(&said("web")), Look::Ours(_)));
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let sightings = Sightings::default();
    for number in 0..KEPT + 10 {
        let said = said(&format!("web-{number}"));
        sightings.remember(&said, sighting("a", &[]));
        sightings.remember(&said, sighting("a", &[]));
    }
    let state = lock(&sightings.0);
    assert_eq!((state.seen.len(), state.order.len()), (KEPT, KEPT));
}

/// What an event with these fields says, in this cluster.
fn says(source: &str, fields: &serde_json::Value, cluster: Option<&str>) -> Option<Arc<Said>> {
    let event = json!({
        "rule": "r", "priority": "Notice", "time": "2026-11-21T12:00:00Z", "source": source,
        "output": "", "output_fields": fields,
    });
    let payload = event.to_string();
    let event = Event::decode(payload.as_bytes()).unwrap();
    let (id, cluster) = (event.id(cluster).unwrap(), cluster.map(str::to_owned));
    let occurrence = Occurrence::new(&event, id, cluster, Default::default(), None).unwrap();
    Said::by(&event.claim().unwrap(), &occurrence)
}

#[test]
fn the_same_is_said_by_all_its_words_and_nothing_by_a_name_alone() {
    let mut fields = json!({"k8s.ns.name": "shop", "k8s.pod.name": "web"});
    assert_eq!(says("syscall", &fields, None), None);
    let audited = json!({
        "ka.target.resource": "pods", "ka.target.namespace": "shop", "ka.target.name": "web",
    });
    assert_eq!(says("k8s_audit", &audited, None), None);
    fields["container.id"] = "6ac7d190134e".into();
    let said = says("syscall", &fields, None);
    assert!(said.is_some());
    assert_eq!(says("syscall", &fields, None), said);
    assert_ne!(says("syscall", &fields, Some("ours")), said);
    fields["k8s.pod.sandbox_id"] = "ffffffffffff".into();
    assert_ne!(says("syscall", &fields, None), said);
}

#[test]
fn only_what_is_gone_for_good_is_remembered_as_gone() {
    for is_final in [false, true] {
        let gone = Gone { object: None, why: String::new(), is_final };
        let sighting = Sighting::of(&Standing::Gone(gone), &said("web"), Vec::new());
        assert_eq!(sighting.is_some(), is_final);
    }
}
