//! Takes the messages of a history in, and adds them up.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use brokers::Message;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use playbooks::{
    act::{Guardrails, Occurrence, Plan},
    decide::{Claim, Event},
};

use super::{
    advice,
    answers::{Answers, Came, Case},
    judge::{Setting, Verdict},
    report::{Day, Held, Messages, Namespace, Playbook, Report, Target, Unanswered},
    seen,
};
use crate::{
    config::Cluster,
    worker::{
        read::{PassedOver, Read, Wanted, read},
        rules::Rules,
    },
};

/// How many targets of a playbook are named.
const NAMED: usize = 100;

/// A rehearsal under way. It keeps some forty bytes for each event that a playbook is asked about.
pub struct Rehearsal<'a> {
    rules: &'a Rules,
    setting: Setting<'a>,
    /// Events before it are left out.
    since: Option<Timestamp>,
    messages: Messages,
    span: Option<(Timestamp, Timestamp)>,
    names: Names,
    /// By playbook.
    cases: Vec<Vec<Case>>,
    whys: HashMap<(usize, Verdict), String>,
    seen: seen::Rules,
}

impl<'a> Rehearsal<'a> {
    /// Nothing taken in yet. Events from before `since` will be left out.
    pub fn new(
        rules: &'a Rules,
        cluster: &'a Cluster,
        guardrails: &'a Guardrails,
        since: Option<Timestamp>,
    ) -> Self {
        Self {
            rules,
            setting: Setting { cluster, guardrails },
            since,
            messages: Messages::default(),
            span: None,
            names: Names::default(),
            cases: rules.plans().iter().map(|_| Vec::new()).collect(),
            whys: HashMap::new(),
            seen: seen::Rules::default(),
        }
    }

    /// Takes a message in.
    pub fn take(&mut self, message: &Message) {
        let event = Event::decode(&message.payload);
        if let (Ok(event), Some(since)) = (&event, self.since)
            && event.time < since
        {
            return;
        }
        self.messages.read += 1;
        let matched = match read(message, &self.rules.matcher, self.setting.cluster) {
            Read::Malformed(error) => {
                let kind = error.kind().as_str().to_owned();
                *self.messages.malformed.entry(kind).or_default() += 1;
                return;
            }
            Read::PassedOver(PassedOver::Internal) => {
                self.messages.internal += 1;
                return;
            }
            Read::PassedOver(PassedOver::ForeignCluster) => {
                self.messages.foreign_cluster += 1;
                return;
            }
            Read::PassedOver(PassedOver::Unmatched) => false,
            Read::Wanted(wanted) => self.judge(&wanted),
        };
        match matched {
            true => self.messages.matched += 1,
            false => self.messages.unmatched += 1,
        }
        if let Ok(event) = event {
            self.seen.take(&event.rule, &message.payload, matched);
            let (first, last) = self.span.unwrap_or((event.time, event.time));
            self.span = Some((first.min(event.time), last.max(event.time)));
        }
    }

    /// Asks every playbook that wants an event, and says whether any is concerned.
    fn judge(&mut self, wanted: &Wanted) -> bool {
        let Wanted { occurrence, claim, candidates } = wanted;
        let mut concerned = false;
        for candidate in candidates {
            let plan = self.rules.plan(candidate);
            let judged = self.setting.judge(candidate, plan, claim, occurrence);
            let Some((verdict, why)) = judged else { continue };
            concerned = true;
            self.whys.entry((candidate.position, verdict)).or_insert(why);
            let target = named(claim);
            let concern = concern(claim, occurrence, &target, plan.needs_target());
            let case = Case {
                at: occurrence.time,
                concern,
                target: self.names.number(&target),
                namespace: self.names.number(claim.namespace.as_deref().unwrap_or_default()),
                rule: self.names.number(&occurrence.rule),
                node: self.names.number(claim.node.as_deref().unwrap_or_default()),
                verdict,
            };
            if let Some(cases) = self.cases.get_mut(candidate.position) {
                cases.push(case);
            }
        }
        concerned
    }

    /// Adds up.
    pub fn end(mut self, source: String) -> Report {
        let plans = self.rules.plans().iter().enumerate();
        let cases = std::mem::take(&mut self.cases);
        let playbooks = plans
            .zip(cases)
            .map(|((position, plan), cases)| self.playbook(position, plan, cases))
            .collect();
        let unanswered = self.seen.iter().filter(|(_, seen)| seen.events > seen.answered);
        let mut unanswered: Vec<_> = unanswered
            .map(|(rule, seen)| Unanswered {
                rule: rule.to_owned(),
                events: seen.events - seen.answered,
                answered: seen.answered,
            })
            .collect();
        unanswered.sort_by_key(|rule| std::cmp::Reverse(rule.events));
        if self.seen.beyond > 0 {
            let rule = "(rules beyond the first thousands)".to_owned();
            unanswered.push(Unanswered { rule, events: self.seen.beyond, answered: 0 });
        }
        Report {
            source,
            from: self.span.map(|(first, _)| first),
            until: self.span.map(|(_, last)| last),
            messages: self.messages,
            playbooks,
            unanswered,
            limits: advice::LIMITS.to_vec(),
        }
    }

    fn playbook(&self, position: usize, plan: &Plan, mut cases: Vec<Case>) -> Playbook {
        cases.sort_by_key(|case| case.at);
        let mut tally = Tally::default();
        let mut answers = Answers::of(&plan.playbook.limits);
        for case in &cases {
            tally.take(case, answers.take(case));
        }
        let mut namespaces: Vec<_> = tally
            .namespaces
            .iter()
            .map(|(name, (count, targets))| Namespace {
                namespace: Some(self.names.text(*name).to_owned()).filter(|name| !name.is_empty()),
                targets: targets.len() as u64,
                answers: count.answers,
                events: count.events,
            })
            .collect();
        namespaces.sort_by_key(|share| std::cmp::Reverse((share.answers, share.events)));
        let day = |(day, count): (&Date, &Count)| Day {
            day: *day,
            answers: count.answers,
            events: count.events,
        };
        let mut to_whom: Vec<_> = tally
            .targets
            .iter()
            .map(|(target, (count, first, last))| Target {
                target: self.names.text(*target).to_owned(),
                answers: count.answers,
                events: count.events,
                first: *first,
                last: *last,
            })
            .collect();
        to_whom.sort_by(|a, b| {
            (b.answers, b.events, &a.target).cmp(&(a.answers, a.events, &b.target))
        });
        to_whom.truncate(NAMED);
        let held = tally.held.iter().map(|(by, events)| Held {
            by: by.as_str(),
            events: *events,
            why: self.why(position, *by, plan),
        });
        let never =
            if cases.is_empty() { advice::never(&plan.playbook, &self.seen) } else { vec![] };
        Playbook {
            name: plan.playbook.name.clone(),
            mode: plan.playbook.mode.as_str(),
            actions: plan.describe(),
            events: cases.len() as u64,
            answers: tally.all.answers,
            joined: tally.all.events - tally.all.answers,
            cooldown: advice::span(plan.playbook.limits.cooldown),
            targets: tally.targets.len() as u64,
            namespaces,
            days: tally.days.iter().map(day).collect(),
            to_whom,
            held: held.collect(),
            live_checks: advice::live_checks(plan, plan.playbook.limits.budget),
            never,
        }
    }

    fn why(&self, position: usize, by: Verdict, plan: &Plan) -> String {
        match (by, plan.playbook.limits.budget) {
            (Verdict::Budget, Some(budget)) => format!("the budget of {budget} is used up"),
            _ => self.whys.get(&(position, by)).cloned().unwrap_or_default(),
        }
    }
}

/// A name for what an event is about: the pod, or the best that it claims.
fn named(claim: &Claim) -> String {
    match (&claim.namespace, &claim.pod, &claim.container_id, &claim.node) {
        (Some(namespace), Some(pod), ..) => format!("{namespace}/{pod}"),
        (None, Some(pod), ..) => pod.clone(),
        (_, None, Some(container), _) => format!("container {container}"),
        (_, None, None, Some(node)) => format!("node {node}"),
        (_, None, None, None) => "nothing named".to_owned(),
    }
}

/// What an event concerns: its target, or itself where there is none to share an answer about.
fn concern(claim: &Claim, occurrence: &Occurrence, name: &str, needs_target: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    match (&claim.pod_uid, needs_target) {
        (_, false) => occurrence.id.hash(&mut hasher),
        // A successor of the same name has another uid.
        (Some(uid), true) => uid.hash(&mut hasher),
        (None, true) => name.hash(&mut hasher),
    }
    hasher.finish()
}

/// Texts by number: each is kept once.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Names {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn text(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|n| self.texts.get(n)).map_or("", String::as_str)
    }
}

/// Answers, and the events they are for.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    answers: u64,
    events: u64,
}

impl Count {
    fn add(&mut self, began: bool) {
        self.events += 1;
        self.answers += u64::from(began);
    }
}

#[derive(Debug, Default)]
struct Tally {
    all: Count,
    namespaces: BTreeMap<u32, (Count, HashSet<u32>)>,
    days: BTreeMap<Date, Count>,
    targets: HashMap<u32, (Count, Timestamp, Timestamp)>,
    held: BTreeMap<Verdict, u64>,
}

impl Tally {
    /// Of cases in order of time.
    fn take(&mut self, case: &Case, came: Came) {
        let began = match came {
            Came::Held(by) => {
                *self.held.entry(by).or_default() += 1;
                return;
            }
            Came::Began => true,
            Came::Joined => false,
        };
        self.all.add(began);
        let (count, targets) = self.namespaces.entry(case.namespace).or_default();
        count.add(began);
        targets.insert(case.target);
        self.days.entry(case.at.to_zoned(TimeZone::UTC).date()).or_default().add(began);
        let first = (Count::default(), case.at, case.at);
        let (count, _, last) = self.targets.entry(case.target).or_insert(first);
        count.add(began);
        *last = case.at;
    }
}
