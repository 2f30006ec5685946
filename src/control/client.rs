//! The control port as a command asks it: a running worker's journal.

use std::collections::VecDeque;

use async_trait::async_trait;
use brokers::{
    Error, History, Message,
    dead_letter::{Buried, MAX_AGE, Queue},
    journal,
};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::{
    caller,
    guard::HEADER,
    wire::{Event, Journal, Letter, Page, Redrive, Refused},
};
use crate::config::Control;

/// A journal of a running worker.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    control: Control,
    token: Option<secrecy::SecretString>,
    /// Where the worker's journals are.
    base: String,
    name: String,
}

impl Client {
    /// The worker at the control port, if one is there that has this journal open.
    ///
    /// # Errors
    /// Something is there that does not answer as a worker does, or does not let us in.
    pub async fn find(
        control: &Control,
        name: &str,
        journal: &journal::Config,
    ) -> Result<Option<Self>, Error> {
        let token = control.token.as_ref().map(settings::Secret::read).transpose();
        let token = token.map_err(|e| Error::Configuration(format!("`control.token`: {e}")))?;
        let (http, base) = caller::client(control)?;
        let (base, control) = (format!("{base}/v1/journals"), control.clone());
        let client = Self { http, control, token, base, name: name.to_owned() };
        let answer = match client.request(Method::GET, client.base.clone()).send().await {
            Err(error) if is_nobody_there(&client.control, &error) => return Ok(None),
            answer => client.read(answer).await?,
        };
        let open: Vec<Journal> = decode(answer).await?;
        // Another worker's may have the same name.
        let ours = journal.path.canonicalize().ok();
        let is_ours = |open: &Journal| {
            open.name == name && ours.as_ref().is_none_or(|path| *path == open.path)
        };
        Ok(open.iter().any(is_ours).then_some(client))
    }

    /// Its dead letters.
    pub fn letters(self) -> Letters {
        Letters { client: self, page: VecDeque::new(), after: Some(0) }
    }

    /// What it holds.
    ///
    /// # Errors
    /// The worker does not answer.
    pub async fn history(self, since: Timestamp) -> Result<Held, Error> {
        let letters: Page<Letter> = self.page("dead-letters", u64::MAX).await?;
        let events: Page<Event> = self.page("events", u64::MAX).await?;
        let total = letters.total + events.total;
        let letters = self.clone().letters();
        Ok(Held {
            client: self,
            since,
            total,
            letters: Some(letters),
            after: Some(0),
            page: VecDeque::new(),
        })
    }

    async fn page<T: DeserializeOwned>(&self, what: &str, after: u64) -> Result<Page<T>, Error> {
        // Past the last there is nothing to read but how many there are.
        let url = format!("{}/{}/{what}?after={}", self.base, self.name, after.min(u64::MAX - 1));
        self.ask(Method::GET, url).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, url: String) -> Result<T, Error> {
        let answer = self.request(method, url).send().await;
        decode(self.read(answer).await?).await
    }

    fn request(&self, method: Method, url: String) -> RequestBuilder {
        let request = self.http.request(method, url).header(HEADER, "1");
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    /// Sends what changes something. What isn't there any more was changed by somebody else, who was faster.
    async fn change(&self, method: Method, rest: String, body: &Redrive) -> Result<(), Error> {
        let url = format!("{}/{}/dead-letters/{rest}", self.base, self.name);
        let answer = self.request(method, url).json(body).send().await;
        if let Ok(answer) = &answer
            && answer.status() == StatusCode::GONE
        {
            return Ok(());
        }
        self.read(answer).await.map(drop)
    }

    async fn read(&self, answer: Result<Response, reqwest::Error>) -> Result<Response, Error> {
        let asked = || format!("asking the worker at {}", self.base);
        let answer = answer.map_err(|error| {
            let advice = caller::advice(&self.control, &error);
            let advice = advice.map(|what| format!("; {what}")).unwrap_or_default();
            Error::client(asked() + &advice, error)
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let why = answer.text().await.unwrap_or_default();
        let why = serde_json::from_str(&why).map_or(why, |Refused { error }| error);
        Err(Error::client(asked(), format!("{status}: {}", why.trim())))
    }
}

/// A worker whose TLS is not as we take it is there.
fn is_nobody_there(control: &Control, error: &reqwest::Error) -> bool {
    error.is_connect() && caller::advice(control, error).is_none()
}

async fn decode<T: DeserializeOwned>(answer: Response) -> Result<T, Error> {
    answer.json().await.map_err(|e| Error::client("reading the worker's answer", e))
}

/// The dead letters of a running worker's journal.
#[derive(Debug)]
pub struct Letters {
    client: Client,
    page: VecDeque<Letter>,
    /// Where to go on; nowhere at the end.
    after: Option<u64>,
}

impl Letters {
    async fn redrive_as_asked(
        &self,
        buried: &Buried,
        playbooks: &[String],
        more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        let mut redrive = Redrive { playbooks: playbooks.to_vec(), max_age: None };
        for (name, value) in more {
            match name.as_str() {
                MAX_AGE => redrive.max_age = Some(String::from_utf8_lossy(value).into_owned()),
                _ => {
                    return Err(Error::client(
                        "redriving",
                        format!("the header {name} is not known"),
                    ));
                }
            }
        }
        self.client.change(Method::POST, format!("{}/redrive", buried.place), &redrive).await
    }
}

#[async_trait]
impl Queue for Letters {
    async fn next(&mut self) -> Result<Option<Buried>, Error> {
        while self.page.is_empty() {
            let Some(after) = self.after else { return Ok(None) };
            let page: Page<Letter> = self.client.page("dead-letters", after).await?;
            (self.page, self.after) = (page.items.into(), page.next);
        }
        Ok(self.page.pop_front().map(Buried::from))
    }

    async fn redrive(&mut self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error> {
        self.redrive_as_asked(buried, &[], more).await
    }

    async fn redrive_for(
        &mut self,
        buried: &Buried,
        handlers: &[String],
        more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        self.redrive_as_asked(buried, handlers, more).await
    }

    async fn remove(&mut self, buried: &Buried) -> Result<(), Error> {
        self.client.change(Method::DELETE, buried.place.clone(), &Redrive::default()).await
    }
}

/// What a running worker's journal holds: what was given up, then what is not settled.
#[derive(Debug)]
pub struct Held {
    client: Client,
    since: Timestamp,
    total: u64,
    letters: Option<Letters>,
    after: Option<u64>,
    page: VecDeque<Event>,
}

impl Held {
    async fn any(&mut self) -> Result<Option<Message>, Error> {
        if let Some(letters) = &mut self.letters {
            if let Some(buried) = letters.next().await? {
                return Ok(Some(buried.message));
            }
            self.letters = None;
        }
        while self.page.is_empty() {
            let Some(after) = self.after else { return Ok(None) };
            let page: Page<Event> = self.client.page("events", after).await?;
            (self.page, self.after) = (page.items.into(), page.next);
        }
        Ok(self.page.pop_front().map(Message::from))
    }
}

#[async_trait]
impl History for Held {
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        while let Some(message) = self.any().await? {
            if message.published.is_none_or(|published| published >= self.since) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}
