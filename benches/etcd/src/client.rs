//! One caller of an etcd server: the four operations that are timed, what prepares them, and the change of members.
//!
//! Every answer is checked, so that only calls that did what they should are counted.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::messages::{
    self, Compare, MemberAddRequest, MemberAddResponse, MemberRemoveRequest, MemberRemoveResponse,
    PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, StatusRequest, StatusResponse,
    Target, TxnRequest, TxnResponse, path,
};

/// What is asked of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A put of the client's own key, whatever is there.
    Put,
    /// A put of the client's own key if that has the expected version.
    Update,
    /// A linearizable read of so many keys by their prefix.
    Read(usize),
}

/// A connection to an etcd server, which clones share.
#[derive(Clone)]
pub(crate) struct Etcd(Grpc<Channel>);

impl Etcd {
    /// Connects to the server at a port of this machine.
    pub(crate) async fn connect(port: u16) -> Result<Etcd> {
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?
            .connect_timeout(Duration::from_secs(5))
            // An answer of 1,000 keys is longer than the usual window, and would wait for leave to go on.
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(64 << 20)
            .connect()
            .await?;
        Ok(Etcd(Grpc::new(channel)))
    }

    /// What the server says of itself and of the leader.
    pub(crate) async fn status(&mut self) -> Result<StatusResponse> {
        self.call(path::STATUS, StatusRequest {}).await
    }

    /// Creates the keys that are read so many at a time.
    pub(crate) async fn create_keys(&mut self, count: usize) -> Result<()> {
        for number in 0..count {
            self.put(format!("read{count}/{number:04}").into(), value(1)).await?;
        }
        Ok(())
    }

    /// Puts the value whatever is there.
    pub(crate) async fn put(&mut self, key: Bytes, value: Bytes) -> Result<()> {
        let _: PutResponse = self.call(path::PUT, PutRequest { key, value }).await?;
        Ok(())
    }

    /// Puts the value if the key has the version: 0 for a key that is not there.
    async fn update(&mut self, key: Bytes, version: i64, value: Bytes) -> Result<bool> {
        let target = Some(Target::Version(version));
        let compare = vec![Compare { key: key.clone(), target }];
        let success = vec![RequestOp {
            operation: Some(messages::Operation::Put(PutRequest { key, value })),
        }];
        let answer: TxnResponse = self.call(path::TXN, TxnRequest { compare, success }).await?;
        Ok(answer.succeeded)
    }

    async fn range(&mut self, key: Bytes, range_end: Bytes) -> Result<RangeResponse> {
        let linearizable = RangeRequest { key, range_end, ..RangeRequest::default() };
        self.call(path::RANGE, linearizable).await
    }

    /// How many keys with the prefix, which ends with a `/`, this server itself holds.
    pub(crate) async fn count(&mut self, prefix: &Bytes) -> Result<usize> {
        let (key, range_end) = (prefix.clone(), end_of(prefix));
        let request = RangeRequest { key, range_end, serializable: true, count_only: true };
        let answer: RangeResponse = self.call(path::RANGE, request).await?;
        Ok(usize::try_from(answer.count)?)
    }

    /// Adds a member that the others reach at this address.
    pub(crate) async fn add_member(&mut self, peer_url: String) -> Result<()> {
        let request = MemberAddRequest { peer_urls: vec![peer_url] };
        let _: MemberAddResponse = self.call(path::MEMBER_ADD, request).await?;
        Ok(())
    }

    pub(crate) async fn remove_member(&mut self, id: u64) -> Result<()> {
        let _: MemberRemoveResponse =
            self.call(path::MEMBER_REMOVE, MemberRemoveRequest { id }).await?;
        Ok(())
    }

    async fn call<Q, A>(&mut self, path: &'static str, message: Q) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.0.ready().await.context("etcd cannot be reached")?;
        let request = tonic::Request::new(message);
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.0.unary(request, PathAndQuery::from_static(path), codec).await;
        Ok(answer.with_context(|| format!("{path} fails"))?.into_inner())
    }
}

/// A caller that makes the same call over and over.
pub(crate) struct Client {
    etcd: Etcd,
    operation: Operation,
    /// The client's own key, or the prefix of the keys that it reads.
    key: Bytes,
    /// How often the client's own key was put.
    version: i64,
}

impl Client {
    /// A client that knows the version of its own key.
    pub(crate) async fn prepare(etcd: Etcd, operation: Operation, id: usize) -> Result<Client> {
        let key = match operation {
            Operation::Put | Operation::Update => format!("client/{id}"),
            Operation::Read(count) => format!("read{count}/"),
        };
        let mut client = Client { etcd, operation, key: key.into(), version: 0 };
        let found = client.etcd.range(client.key.clone(), Bytes::new()).await?;
        client.version = found.pairs.first().map_or(0, |pair| pair.version);
        Ok(client)
    }

    /// Makes one call and checks its answer.
    pub(crate) async fn call(&mut self) -> Result<()> {
        match self.operation {
            Operation::Put => {
                self.etcd.put(self.key.clone(), value(self.version + 1)).await?;
                self.version += 1;
            }
            Operation::Update => {
                let value = value(self.version + 1);
                let succeeded = self.etcd.update(self.key.clone(), self.version, value).await?;
                ensure!(succeeded, "a client's own key has another version than it put");
                self.version += 1;
            }
            Operation::Read(count) => {
                let answer = self.etcd.range(self.key.clone(), end_of(&self.key)).await?;
                let found = answer.pairs.len();
                ensure!(found == count, "{found} keys instead of {count} were read");
            }
        }
        Ok(())
    }
}

/// The end of the range of all keys with the prefix, which ends with a `/`.
fn end_of(prefix: &Bytes) -> Bytes {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// What a file of two blocks looks like: its version and two hashes, about 160 bytes.
pub(crate) fn value(version: i64) -> Bytes {
    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    format!(r#"{{"version":{version},"hashes":["{HASH}","{HASH}"]}}"#).into()
}

impl std::str::FromStr for Operation {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Operation> {
        match name {
            "put" => Ok(Operation::Put),
            "update" => Ok(Operation::Update),
            "read10" => Ok(Operation::Read(10)),
            "read1000" => Ok(Operation::Read(1000)),
            _ => bail!("{name:?} is none of put, update, read10 and read1000"),
        }
    }
}
