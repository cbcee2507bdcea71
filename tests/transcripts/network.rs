//! What is in flight between the servers. The network does nothing by itself: the scenario says what arrives.

use std::collections::{BTreeMap, BTreeSet};

use surfstore::raft::{Failure, Request, Response, ServerId};

use crate::links::Links;

/// A request, or its outcome, in flight.
#[derive(Clone)]
pub(crate) struct Message {
    /// The request's number, which its outcome shares.
    pub(crate) exchange: u64,
    pub(crate) from: ServerId,
    pub(crate) to: ServerId,
    pub(crate) body: Body,
}

#[derive(Clone)]
pub(crate) enum Body {
    Request(Request),
    Response(Response),
    /// Why there is no response, as far as the program that answers in its place shows it.
    Failure(Failure),
}

/// A request whose sender waits for its outcome.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) by: ServerId,
    pub(crate) to: ServerId,
    pub(crate) request: Request,
}

#[derive(Clone, Default)]
pub(crate) struct Network {
    under_way: Vec<Message>,
    held_back: Vec<Message>,
    cut: BTreeSet<(ServerId, ServerId)>,
    open: BTreeMap<u64, Open>,
    exchanges: u64,
    /// The last request that an ended process of the server may have sent.
    ended: BTreeMap<ServerId, u64>,
}

impl Network {
    pub(crate) fn request(&mut self, by: ServerId, to: ServerId, request: Request) {
        self.exchanges += 1;
        let exchange = self.exchanges;
        self.open.insert(exchange, Open { by, to, request: request.clone() });
        self.under_way.push(Message { exchange, from: by, to, body: Body::Request(request) });
    }

    /// Sends back the outcome of a request.
    pub(crate) fn answer(&mut self, request: &Message, body: Body) {
        let Message { exchange, from, to, .. } = *request;
        self.under_way.push(Message { exchange, from: to, to: from, body });
    }

    /// Ends the sender's wait for the outcome; `None` if it has ended before.
    pub(crate) fn close(&mut self, exchange: u64) -> Option<Open> {
        self.open.remove(&exchange)
    }

    /// The requests sent on the links whose senders wait for their outcome.
    pub(crate) fn waiting(&self, links: &Links) -> Vec<u64> {
        let on_links =
            |(exchange, open): (&u64, &Open)| links.contain(open.by, open.to).then_some(*exchange);
        self.open.iter().filter_map(on_links).collect()
    }

    /// Takes everything that is in flight on the links, oldest first.
    pub(crate) fn take(&mut self, links: &Links) -> Vec<Message> {
        self.under_way.extract_if(.., |message| links.contain(message.from, message.to)).collect()
    }

    /// Takes the oldest message that is in flight on the links.
    pub(crate) fn take_first(&mut self, links: &Links) -> Option<Message> {
        let on_links = |message: &Message| links.contain(message.from, message.to);
        let first = self.under_way.iter().position(on_links)?;
        Some(self.under_way.remove(first))
    }

    pub(crate) fn hold_back(&mut self, messages: Vec<Message>) {
        self.held_back.extend(messages);
    }

    /// Releases what was held back on the links. Returns how much that was.
    pub(crate) fn release(&mut self, links: &Links) -> usize {
        let before = self.under_way.len();
        let on_links = |message: &mut Message| links.contain(message.from, message.to);
        self.under_way.extend(self.held_back.extract_if(.., on_links));
        self.under_way.len() - before
    }

    /// Duplicates what is in flight on the links. Returns how much that was.
    pub(crate) fn duplicate(&mut self, links: &Links) -> usize {
        let on_links = |message: &&Message| links.contain(message.from, message.to);
        let copies: Vec<_> = self.under_way.iter().filter(on_links).cloned().collect();
        let count = copies.len();
        self.under_way.extend(copies);
        count
    }

    /// Cuts the link, unless it is cut already.
    pub(crate) fn cut(&mut self, link: (ServerId, ServerId)) -> bool {
        self.cut.insert(link)
    }

    /// Heals the link, unless it is whole.
    pub(crate) fn heal(&mut self, link: (ServerId, ServerId)) -> bool {
        self.cut.remove(&link)
    }

    /// The server's process ends: no sender waits for the outcome of its requests any more, but they stay in flight.
    pub(crate) fn end(&mut self, id: ServerId) {
        self.open.retain(|_, open| open.by != id);
        self.ended.insert(id, self.exchanges);
    }

    /// Whether the message is lost: its link is cut, or it answers a process that has ended.
    pub(crate) fn loses(&self, message: &Message) -> bool {
        let is_answer = !matches!(message.body, Body::Request(_));
        let asker_ended = self.ended.get(&message.to).is_some_and(|last| message.exchange <= *last);
        self.cut.contains(&(message.from, message.to)) || (is_answer && asker_ended)
    }
}
