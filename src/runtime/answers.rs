//! Answers on their way to their callers: written once where several callers get the same, and bounded as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::config::Config;
use crate::protocol::{self, Answer, fault};
use crate::raft::Reply;
use crate::xmlrpc;

/// How many bytes of answers may be held for callers that have not taken them yet.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer of this size is given whatever else is held, for it may tell of an update that took effect.
const SMALL_BYTES: usize = 4 << 10;

/// How many bytes of answers are held.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }

    fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Whether so much is held that callers are no longer given all the time they might take.
    pub(super) fn is_much(&self) -> bool {
        ANSWER_BYTES_MAX / 2 < self.bytes()
    }

    /// Whether an answer of that size fits beside the others. The only one always does, however large the map is.
    fn has_room(&self, bytes: usize) -> bool {
        bytes <= SMALL_BYTES || self.bytes() == 0 || self.bytes() + bytes <= ANSWER_BYTES_MAX
    }
}

/// An answer as it is sent. It counts as held until the last of its callers has it.
#[derive(Debug)]
pub(super) struct Document {
    bytes: Vec<u8>,
    held: Held,
}

impl Document {
    pub(super) fn new(mut bytes: Vec<u8>, held: &Held) -> Arc<Document> {
        bytes.shrink_to_fit();
        held.add(bytes.capacity());
        Arc::new(Document { bytes, held: held.clone() })
    }

    fn busy(held: &Held) -> Arc<Document> {
        let fault = fault::busy("too many bytes of answers are on their way");
        Document::new(xmlrpc::write_fault(&fault), held)
    }
}

impl AsRef<[u8]> for Document {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.held.give_back(self.bytes.capacity());
    }
}

/// Writes answers.
pub(super) struct Scribe {
    /// It gives the leader's address to callers who should go there.
    config: Config,
    held: Held,
    /// The file map as it was written last, and which state of it that was: most reads get it unchanged.
    files: Option<(u64, Arc<Document>)>,
}

impl Scribe {
    pub(super) fn new(config: Config, held: Held) -> Scribe {
        Scribe { config, held, files: None }
    }

    /// The document to send; that of a *busy* fault if it does not fit beside those on their way.
    pub(super) fn write(&mut self, answer: &Answer) -> Arc<Document> {
        let Answer::Raft(Reply::Files(files)) = answer else {
            return self.fitting(answer).unwrap_or_else(|| Document::busy(&self.held));
        };
        let revision = files.revision();
        if let Some((written, document)) = &self.files
            && *written == revision
        {
            return Arc::clone(document);
        }
        // Nobody will ask for it any more, and it may take the room of the new one.
        self.files = None;
        self.files = self.fitting(answer).map(|document| (revision, document));
        let document = self.files.as_ref().map(|(_, document)| Arc::clone(document));
        document.unwrap_or_else(|| Document::busy(&self.held))
    }

    fn fitting(&mut self, answer: &Answer) -> Option<Arc<Document>> {
        let bytes = protocol::write_answer(answer, &self.config);
        // A map that nobody is being sent must not keep others from their answers.
        if !self.held.has_room(bytes.len())
            && self.files.as_ref().is_some_and(|(_, document)| Arc::strong_count(document) == 1)
        {
            self.files = None;
        }
        self.held.has_room(bytes.len()).then(|| Document::new(bytes, &self.held))
    }
}

/// The answers of `system.multicall`. Each will be copied, so that one that others share counts here once more.
pub(super) struct Several {
    answers: Vec<Arc<Document>>,
    /// How many bytes the copies will take, which count as held from the beginning.
    bytes: usize,
    held: Held,
}

impl Several {
    pub(super) fn new(held: &Held) -> Several {
        Several { answers: Vec::new(), bytes: 0, held: held.clone() }
    }

    /// Adds the next answer; a *busy* fault in its place if it is too large beside those before it.
    pub(super) fn push(&mut self, answer: Arc<Document>) {
        let fits = self.held.has_room(answer.bytes.len());
        let answer = if fits { answer } else { Document::busy(&self.held) };
        self.held.add(answer.bytes.len());
        self.bytes += answer.bytes.len();
        self.answers.push(answer);
    }

    /// The document that answers them all. It is never refused, for updates among them may have taken effect.
    pub(super) fn write(self) -> Arc<Document> {
        let documents = self.answers.iter().map(|answer| &**answer);
        Document::new(xmlrpc::write_multicall(documents), &self.held)
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        self.held.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Files, Update};
    use crate::value::Value;

    fn scribe() -> Scribe {
        let config = Config::parse("M: 1\nmetadata0: localhost:1\n").unwrap();
        Scribe::new(config, Held::default())
    }

    fn files(versions: i64) -> Answer {
        let mut files = Files::default();
        for version in 1..=versions {
            files.apply(&Arc::new(Update { name: "a".into(), version, hashes: [].into() }));
        }
        Answer::Raft(Reply::Files(files))
    }

    fn block(bytes: usize) -> Answer {
        Answer::Block(vec![0; bytes].into())
    }

    fn is_busy(document: &Document) -> bool {
        document.bytes.windows(5).any(|word| word == b"busy:")
    }

    #[test]
    fn readers_of_the_same_map_share_a_document() {
        let mut scribe = scribe();
        let one = scribe.write(&files(3));
        assert!(Arc::ptr_eq(&one, &scribe.write(&files(3))));
        assert!(!Arc::ptr_eq(&one, &scribe.write(&files(4))), "the map is another");
    }

    #[test]
    fn what_is_held_is_given_back_with_the_last_caller() {
        let mut scribe = scribe();
        let one = scribe.write(&block(1000));
        assert!(1000 <= scribe.held.bytes());
        drop(one);
        assert_eq!(scribe.held.bytes(), 0);
    }

    #[test]
    fn a_large_answer_beyond_the_bound_is_refused_and_a_small_one_is_given() {
        let mut scribe = scribe();
        let large: Vec<_> = (0..20).map(|_| scribe.write(&block(8 << 20))).collect();
        assert!(!is_busy(&large[0]) && is_busy(&large[19]));
        assert!(scribe.held.is_much() && scribe.held.bytes() <= 3 * ANSWER_BYTES_MAX / 2);
        assert!(!is_busy(&scribe.write(&block(100))));
        drop(large);
        assert!(!is_busy(&scribe.write(&block(8 << 20))), "there is room again");
    }

    #[test]
    fn a_map_beyond_the_bound_is_given_to_one_caller_and_a_refusal_is_not_kept() {
        let mut scribe = scribe();
        let much = scribe.write(&block(ANSWER_BYTES_MAX));
        assert!(!is_busy(&much));
        let hash = "h".repeat(2 * SMALL_BYTES).as_str().into();
        let mut files = Files::default();
        files.apply(&Arc::new(Update { name: "a".into(), version: 1, hashes: [hash].into() }));
        let read = Answer::Raft(Reply::Files(files));
        assert!(is_busy(&scribe.write(&read)));
        drop(much);
        assert!(!is_busy(&scribe.write(&read)));
    }

    #[test]
    fn a_map_that_nobody_is_being_sent_keeps_nobody_from_an_answer() {
        let mut scribe = scribe();
        let hash = "h".repeat(ANSWER_BYTES_MAX).as_str().into();
        let mut files = Files::default();
        files.apply(&Arc::new(Update { name: "a".into(), version: 1, hashes: [hash].into() }));
        let map = scribe.write(&Answer::Raft(Reply::Files(files)));
        assert!(is_busy(&scribe.write(&block(1 << 20))));
        drop(map);
        assert!(!is_busy(&scribe.write(&block(1 << 20))));
    }

    #[test]
    fn the_answers_of_several_calls_count_once_more_for_each_that_shares_them() {
        let mut scribe = scribe();
        let large = scribe.write(&block(ANSWER_BYTES_MAX / 5));
        let (mut one, mut two) = (Several::new(&scribe.held), Several::new(&scribe.held));
        one.push(Arc::clone(&large));
        (0..4).for_each(|_| two.push(Arc::clone(&large)));
        two.push(scribe.write(&Answer::Boolean(true)));
        let answers = |several: Several| match xmlrpc::parse_response(&several.write().bytes) {
            Ok(Ok(Value::Array(answers))) => {
                answers.iter().map(|answer| matches!(answer, Value::Array(_))).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(answers(one), [true]);
        assert_eq!(answers(two), [true, false, false, false, true], "the small one as well");
        drop(large);
        assert_eq!(scribe.held.bytes(), 0);
    }
}
