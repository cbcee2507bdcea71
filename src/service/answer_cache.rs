//! Caches written answers, so that callers who get the same answer share one document, and bounds the bytes of all
//! answers.

use std::iter::{self, Peekable};
use std::mem;
use std::sync::Arc;
use std::vec;

use super::document::{ANSWER_BYTES_MAX, AnswerBudget, Document, Piece, SMALL_BYTES};
use crate::blocks::Blocks;
use crate::config::Config;
use crate::metadata::{Files, Leaf};
use crate::protocol::{self, Answer, LeafWriter, LongAnswer, fault};
use crate::raft::Reply;
use crate::xmlrpc;

/// The number of bytes of a map that are written at a time, a millisecond or two of work.
const PART_BYTES: usize = 512 << 10;

/// Writes answers, and keeps those that later callers may get as well.
#[derive(Debug)]
pub(super) struct AnswerCache {
    /// Supplies the leader's address for redirects.
    config: Config,
    budget: AnswerBudget,
    /// The documents for false and true, which answer most calls. They do not count against the budget: there is one of
    /// each.
    booleans: [Arc<Document>; 2],
    /// The last document of the file map, after the revision of the map. Most reads get this document.
    files: Option<(u64, Arc<Document>)>,
    /// The leaves of that document, or of the one that is being written. Most of them can be reused if the map has
    /// changed.
    leaves: Vec<WrittenLeaf>,
    /// The map that is being written.
    unfinished: Option<UnfinishedMap>,
    /// What was evicted and is not freed yet.
    evicted: Vec<Box<[u8]>>,
}

/// An answer about blocks, and the parts of it that are written.
#[derive(Debug)]
pub(super) struct UnfinishedAnswer {
    answer: LongAnswer,
    pieces: Vec<Arc<Piece>>,
}

impl UnfinishedAnswer {
    /// An answer of which nothing is written.
    pub(super) fn new(answer: LongAnswer) -> UnfinishedAnswer {
        UnfinishedAnswer { answer, pieces: Vec::new() }
    }

    /// The memory that it takes beside the parts, in bytes.
    pub(super) fn size(&self) -> usize {
        self.answer.size()
    }
}

/// A map of which some leaves are written.
#[derive(Debug)]
struct UnfinishedMap {
    files: Files,
    /// The number of leaves that are written.
    written: usize,
    /// The next leaf, if part of it is written: its writer, and what is written.
    begun: Option<(LeafWriter, Vec<Arc<Piece>>)>,
    /// The leaves of the document before that may still be reused.
    reusable: Peekable<vec::IntoIter<WrittenLeaf>>,
}

/// A leaf of the map, and its written form: one piece, or several if it is large.
#[derive(Debug)]
struct WrittenLeaf {
    leaf: Arc<Leaf>,
    pieces: Vec<Arc<Piece>>,
}

impl AnswerCache {
    pub(super) fn new(config: Config, budget: AnswerBudget) -> AnswerCache {
        let booleans = [false, true].map(|truth| {
            let bytes = protocol::write_answer(&Answer::Boolean(truth), &config);
            Document::new(bytes, &AnswerBudget::default())
        });
        AnswerCache {
            config,
            budget,
            booleans,
            files: None,
            leaves: Vec::new(),
            unfinished: None,
            evicted: Vec::new(),
        }
    }

    /// The budget that the answers count against.
    pub(super) fn budget(&self) -> &AnswerBudget {
        &self.budget
    }

    /// The document to send. It is a *busy* fault if the answer does not fit into the budget beside those being sent.
    pub(super) fn write(&mut self, answer: &Answer) -> Arc<Document> {
        if let Answer::Boolean(truth) | Answer::Raft(Reply::Updated(truth)) = answer {
            let [no, yes] = &self.booleans;
            return Arc::clone(if *truth { yes } else { no });
        }
        let bytes = protocol::write_answer(answer, &self.config);
        let document = self.fitting(Document::new(bytes, &self.budget));
        document.unwrap_or_else(|| busy(&self.budget))
    }

    /// Writes the next part of a long answer. Returns the document if that was the last part; a *busy* fault if it does
    /// not fit into the budget.
    pub(super) fn write_part_of(
        &mut self,
        unfinished: &mut UnfinishedAnswer,
        blocks: &Blocks,
    ) -> Option<Arc<Document>> {
        let UnfinishedAnswer { answer, pieces } = unfinished;
        if pieces.is_empty() && !self.make_room(answer.written_bytes_min(), 0) {
            return Some(busy(&self.budget));
        }
        let (text, is_whole) = answer.write(|hash| blocks.has(hash));
        pieces.push(Piece::new(text, &self.budget));
        if !is_whole {
            return None;
        }
        let document = self.fitting(Document::of(mem::take(pieces).into_iter()));
        Some(document.unwrap_or_else(|| busy(&self.budget)))
    }

    /// The document of this map, if it is the last one that was written.
    pub(super) fn map(&self, files: &Files) -> Option<Arc<Document>> {
        let (_, document) =
            self.files.as_ref().filter(|(written, _)| *written == files.revision())?;
        Some(Arc::clone(document))
    }

    /// Starts to write the document of a map. [`write_part`](Self::write_part) goes on with it.
    pub(super) fn start_map(&mut self, files: Files) {
        // No caller gets the old document any more, and the new one may need the room of the pieces that they do not
        // share.
        self.files = None;
        let reusable = mem::take(&mut self.leaves).into_iter().peekable();
        self.unfinished = Some(UnfinishedMap { files, written: 0, begun: None, reusable });
    }

    /// Whether a map is being written.
    pub(super) fn is_writing(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Writes the next part of the map, because everything else would have to wait for a large map. Returns the
    /// document if that was the last part. Leaves of the last document are reused, and only the others are written.
    pub(super) fn write_part(&mut self) -> Option<Arc<Document>> {
        let UnfinishedMap { files, written, begun, reusable } = self.unfinished.as_mut()?;
        let mut left = PART_BYTES;
        while let Some(leaf) = files.leaf(*written) {
            if left == 0 {
                return None;
            }
            let is_same = |written: &WrittenLeaf| Arc::ptr_eq(&written.leaf, leaf);
            // Both lists are in the order of names, so one pass finds the leaves to reuse and drops the others.
            let is_past = |written: &WrittenLeaf| {
                !is_same(written) && written.leaf.first_name() < leaf.first_name()
            };
            while reusable.next_if(is_past).is_some() {}
            if let Some(same) = reusable.next_if(is_same) {
                self.leaves.push(same);
            } else {
                let (mut writer, mut pieces) =
                    begun.take().unwrap_or_else(|| (LeafWriter::new(Arc::clone(leaf)), Vec::new()));
                let (text, is_whole) = writer.write(left);
                left = left.saturating_sub(text.len());
                pieces.push(Piece::new(text, &self.budget));
                if !is_whole {
                    *begun = Some((writer, pieces));
                    return None;
                }
                self.leaves.push(WrittenLeaf { leaf: Arc::clone(leaf), pieces });
            }
            *written += 1;
        }
        let revision = files.revision();
        assert_eq!(self.leaves.len(), *written, "bug: a map is written whole");
        self.unfinished = None;
        let [before, after] =
            protocol::write_around_leaves().map(|end| Piece::new(end, &self.budget));
        let leaves = self.leaves.iter().flat_map(|written| written.pieces.iter().cloned());
        let whole = Document::of(iter::once(before).chain(leaves).chain([after]));
        if !self.budget.has_room_for_map(whole.len()) {
            drop(whole);
            self.forget();
            return Some(busy(&self.budget));
        }
        self.files = Some((revision, Arc::clone(&whole)));
        Some(whole)
    }

    /// The document, if the budget has room for it.
    fn fitting(&mut self, document: Arc<Document>) -> Option<Arc<Document>> {
        if self.make_room(document.len(), document.len()) {
            return Some(document);
        }
        drop(document);
        self.forget();
        None
    }

    /// Whether the budget has room for an answer of this size, of which `counted` bytes are counted already. If it has
    /// none, evicts cached answers that are not being sent, and tries again.
    fn make_room(&mut self, bytes: usize, counted: usize) -> bool {
        if !self.budget.has_room(bytes, counted) {
            self.forget();
        }
        self.budget.has_room(bytes, counted)
    }

    /// Evicts everything written for the map that is not being sent.
    fn forget(&mut self) {
        self.files.take_if(|(_, document)| Arc::strong_count(document) == 1);
        let leaves: Vec<_> = match &mut self.unfinished {
            // Its leaves belong to a document that is not finished. Only those of the one before may go.
            Some(unfinished) => unfinished.reusable.by_ref().collect(),
            None => self.leaves.extract_if(.., |written| !written.is_being_sent()).collect(),
        };
        let pieces = leaves.into_iter().flat_map(|written| written.pieces);
        self.evicted.extend(pieces.filter_map(Arc::into_inner).map(Piece::into_bytes));
    }

    /// Takes what was evicted. It counts against the budget no longer, but may take long to free.
    pub(super) fn take_evicted(&mut self) -> Vec<Box<[u8]>> {
        mem::take(&mut self.evicted)
    }
}

impl WrittenLeaf {
    fn is_being_sent(&self) -> bool {
        self.pieces.iter().any(|piece| 1 < Arc::strong_count(piece))
    }
}

fn busy(budget: &AnswerBudget) -> Arc<Document> {
    let fault = fault::busy("too many bytes of answers are in flight");
    Document::new(xmlrpc::write_fault(&fault), budget)
}

/// The answers of a `system.multicall`. They share what they hold with other callers' answers, and count against the
/// budget like those.
#[derive(Debug)]
pub(super) struct MulticallAnswer {
    answers: Vec<Arc<Document>>,
    /// The size of the answers that are not small, in bytes. One may have any size; together they have at most
    /// [`ANSWER_BYTES_MAX`].
    bytes: usize,
    budget: AnswerBudget,
}

impl MulticallAnswer {
    pub(super) fn new(budget: &AnswerBudget) -> MulticallAnswer {
        MulticallAnswer { answers: Vec::new(), bytes: 0, budget: budget.clone() }
    }

    /// Adds the next answer, or a *busy* fault in its place if the answers would become too long.
    pub(super) fn push(&mut self, answer: Arc<Document>) {
        let size = if answer.len() <= SMALL_BYTES { 0 } else { answer.len() };
        if self.bytes + size <= ANSWER_BYTES_MAX.max(size) {
            self.bytes += size;
            self.answers.push(answer);
        } else {
            self.answers.push(busy(&self.budget));
        }
    }

    /// The document that answers all calls. It is never refused, because updates among them may have taken effect.
    pub(super) fn write(self) -> Arc<Document> {
        Document::multicall(&self.answers, &self.budget)
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::metadata::{HashList, Update};
    use crate::value::Value;

    fn cache() -> AnswerCache {
        let config = Config::parse("M: 1\nmetadata0: localhost:1\n").unwrap();
        AnswerCache::new(config, AnswerBudget::default())
    }

    /// The map of one file that has had this many versions.
    fn files(versions: i64) -> Files {
        let mut files = Files::default();
        (1..=versions).for_each(|version| update(&mut files, "a", version, "h"));
        files
    }

    fn update(files: &mut Files, name: &str, version: i64, hash: &str) {
        let hashes = [hash.into()].into();
        assert!(files.apply(&Arc::new(Update { name: name.into(), version, hashes })));
    }

    fn read(files: &Files) -> Answer {
        Answer::Raft(Reply::Files(files.clone()))
    }

    /// The document of a map.
    fn map(cache: &mut AnswerCache, files: &Files) -> Arc<Document> {
        cache.map(files).unwrap_or_else(|| {
            cache.start_map(files.clone());
            iter::repeat_with(|| cache.write_part()).find_map(|document| document).unwrap()
        })
    }

    /// Writes the document of a map, and returns the number of bytes that are held before the first part and after each
    /// part.
    fn parts(cache: &mut AnswerCache, files: &Files) -> Vec<usize> {
        let mut held = vec![cache.budget.bytes()];
        cache.start_map(files.clone());
        loop {
            let part = cache.write_part();
            held.push(cache.budget.bytes());
            assert_eq!(part.is_none(), cache.is_writing());
            if let Some(document) = part {
                assert!(Arc::ptr_eq(&document, &cache.map(files).unwrap()));
                return held;
            }
        }
    }

    /// A map of a thousand files, which takes several leaves.
    fn many() -> Files {
        let mut files = Files::default();
        (0..1000).for_each(|file| update(&mut files, &format!("{file:03}"), 1, "h"));
        files
    }

    fn shared(one: &Document, other: &Document) -> usize {
        let is_of_other = |piece: &&[u8]| other.pieces().any(|of_other| ptr::eq(*piece, of_other));
        one.pieces().filter(is_of_other).count()
    }

    /// The answer that is a block of this size.
    fn block(cache: &mut AnswerCache, bytes: usize) -> Arc<Document> {
        let mut unfinished = UnfinishedAnswer::new(LongAnswer::block(vec![0; bytes].into()));
        let blocks = Blocks::new(0);
        let mut part = || cache.write_part_of(&mut unfinished, &blocks);
        iter::repeat_with(&mut part).find_map(|document| document).unwrap()
    }

    fn is_busy(document: &Document) -> bool {
        document.bytes().windows(5).any(|word| word == b"busy:")
    }

    #[test]
    fn readers_of_the_same_map_share_a_document() {
        let mut cache = cache();
        let one = map(&mut cache, &files(3));
        assert!(Arc::ptr_eq(&one, &map(&mut cache, &files(3))));
        assert!(!Arc::ptr_eq(&one, &map(&mut cache, &files(4))), "it is another map");
    }

    #[test]
    fn a_map_that_changed_little_reuses_most_of_the_document_before() {
        let (mut cache, mut files) = (cache(), many());
        let before = map(&mut cache, &files);
        let held = cache.budget.bytes();
        update(&mut files, "500", 2, "h");
        update(&mut files, "500a", 1, "h");
        let after = map(&mut cache, &files);
        // All but the beginning, the end and one leaf.
        assert_eq!(shared(&after, &before), after.pieces().count() - 3);
        assert!(10 < after.pieces().count());
        assert!(cache.budget.bytes() < held + held / 10, "shared chunks count once");
        drop(before);
        assert_eq!(cache.budget.bytes(), after.len());
    }

    #[test]
    fn a_large_map_is_written_in_parts_and_one_that_changed_little_at_once() {
        let (mut cache, mut files) = (cache(), Files::default());
        let large = "h".repeat(100 << 10);
        (0..40).for_each(|file| update(&mut files, &format!("{file:02}"), 1, &large));
        let held = parts(&mut cache, &files);
        let document = cache.map(&files).unwrap();
        assert!(*document.bytes() == protocol::write_answer(&read(&files), &cache.config));
        let parts = held.windows(2).map(|held| held[1] - held[0]);
        assert!(parts.max().unwrap() < 2 * PART_BYTES, "{held:?}");
        update(&mut files, "20", 2, "h");
        cache.start_map(files.clone());
        assert!(cache.write_part().is_some());
    }

    #[test]
    fn a_map_of_one_large_file_is_written_in_parts() {
        let hash = Value::from("h".repeat(64).as_str());
        let (list, text) = (iter::repeat_n(hash, 40_000).collect(), "<漢".repeat(1 << 20));
        for hashes in [list, HashList::from([text.as_str().into()])] {
            let (mut cache, mut files) = (cache(), Files::default());
            assert!(files.apply(&Arc::new(Update { name: "a".into(), version: 1, hashes })));
            let held = parts(&mut cache, &files);
            let largest = held.windows(2).map(|held| held[1] - held[0]).max();
            assert!(largest.unwrap() < 2 * PART_BYTES, "{held:?}");
            let document = cache.map(&files).unwrap();
            assert!(
                *document.bytes() == protocol::write_answer(&read(&files), &cache.config),
                "the bytes are the same"
            );
            update(&mut files, "b", 1, "h");
            let before = map(&mut cache, &files);
            update(&mut files, "b", 2, "h");
            let after = map(&mut cache, &files);
            assert_eq!(shared(&after, &before), after.pieces().count() - 3, "all of the large one");
        }
    }

    #[test]
    fn a_map_is_whole_although_room_is_made_while_it_is_written() {
        let (mut cache, mut files) = (cache(), Files::default());
        let large = "h".repeat(100 << 10);
        (0..40).for_each(|file| update(&mut files, &format!("{file:02}"), 1, &large));
        cache.start_map(files.clone());
        assert!(cache.write_part().is_none());
        let full = block(&mut cache, ANSWER_BYTES_MAX / 8 * 5);
        assert!(!is_busy(&full));
        assert!(is_busy(&block(&mut cache, 10 << 20)), "there is no room");
        drop(full);
        let document = iter::repeat_with(|| cache.write_part()).find_map(|document| document);
        assert!(*document.unwrap().bytes() == protocol::write_answer(&read(&files), &cache.config));
    }

    #[test]
    fn a_map_is_the_same_whatever_was_written_before() {
        let (mut cache, mut files) = (cache(), Files::default());
        for turn in 0..2000 {
            let name = (turn * 617 % 1000).to_string();
            let next = files.version(&name) + 1;
            update(&mut files, &name, next, "h");
            if turn % 10 == 0 {
                let whole = protocol::write_answer(&read(&files), &cache.config);
                assert!(*map(&mut cache, &files).bytes() == whole, "after {turn} updates");
            }
        }
    }

    #[test]
    fn what_is_held_is_given_back_with_the_last_caller() {
        let mut cache = cache();
        let one = block(&mut cache, 1000);
        assert!(1000 <= cache.budget.bytes());
        drop(one);
        assert_eq!(cache.budget.bytes(), 0);
    }

    #[test]
    fn a_large_answer_beyond_the_bound_is_refused_and_a_small_one_is_given() {
        let mut cache = cache();
        let large: Vec<_> = (0..20).map(|_| block(&mut cache, 8 << 20)).collect();
        assert!(!is_busy(&large[0]) && is_busy(&large[19]));
        assert!(cache.budget.is_much() && cache.budget.bytes() <= 3 * ANSWER_BYTES_MAX / 2);
        assert!(!is_busy(&block(&mut cache, 100)));
        drop(large);
        assert!(!is_busy(&block(&mut cache, 8 << 20)), "there is room again");
    }

    #[test]
    fn a_map_beyond_the_bound_is_given_to_one_caller_and_a_refusal_is_not_kept() {
        let mut cache = cache();
        let much = block(&mut cache, ANSWER_BYTES_MAX);
        assert!(!is_busy(&much));
        let mut files = Files::default();
        update(&mut files, "a", 1, &"h".repeat(2 * SMALL_BYTES));
        assert!(is_busy(&map(&mut cache, &files)));
        assert_eq!(cache.budget.bytes(), much.len());
        drop(much);
        assert!(!is_busy(&map(&mut cache, &files)));
    }

    #[test]
    fn a_map_beyond_the_bound_is_given_beside_other_answers() {
        let (mut cache, mut files) = (cache(), Files::default());
        let other = block(&mut cache, 2 * SMALL_BYTES);
        update(&mut files, "a", 1, &"h".repeat(ANSWER_BYTES_MAX));
        assert!(!is_busy(&map(&mut cache, &files)));
        drop(other);
    }

    #[test]
    fn a_map_that_is_not_being_sent_is_evicted_for_an_answer() {
        let mut cache = cache();
        let mut files = Files::default();
        update(&mut files, "a", 1, &"h".repeat(ANSWER_BYTES_MAX));
        let map = map(&mut cache, &files);
        assert!(is_busy(&block(&mut cache, 1 << 20)));
        drop(map);
        assert!(!is_busy(&block(&mut cache, 1 << 20)));
    }

    #[test]
    fn without_room_only_shared_pieces_of_a_map_that_is_not_being_sent_are_kept() {
        let (mut cache, mut files) = (cache(), many());
        let before = map(&mut cache, &files);
        update(&mut files, "500", 2, "h");
        map(&mut cache, &files);
        assert!(before.len() < cache.budget.bytes(), "it is kept for the next reader");
        let held = cache.budget.bytes();
        let full = block(&mut cache, ANSWER_BYTES_MAX);
        assert!(is_busy(&full));
        drop(full);
        assert_eq!(cache.budget.bytes(), before.len());
        let evicted: usize = cache.take_evicted().iter().map(|bytes| bytes.len()).sum();
        assert!(0 < evicted && evicted <= held - before.len(), "it is freed elsewhere");
        let after = map(&mut cache, &files);
        assert_eq!(shared(&after, &before), after.pieces().count() - 3);
    }

    #[test]
    fn the_document_of_a_fault_is_recognized_and_that_of_a_map_is_not() {
        let mut cache = cache();
        assert!(cache.write(&Answer::Fault(fault::busy("why"))).is_fault());
        assert!(!cache.write(&Answer::Boolean(true)).is_fault());
        assert!(!map(&mut cache, &many()).is_fault());
    }

    /// The document of a multicall that brings these answers.
    fn several(cache: &AnswerCache, answers: &[&Arc<Document>]) -> Arc<Document> {
        let mut several = MulticallAnswer::new(&cache.budget);
        answers.iter().for_each(|answer| several.push(Arc::clone(answer)));
        several.write()
    }

    /// The answers in the document of a multicall; `None` in place of a fault.
    fn answers(several: &Document) -> Vec<Option<Value>> {
        let Ok(Ok(Value::Array(answers))) = xmlrpc::parse_response(&several.bytes()) else {
            panic!("a multicall is answered with an array")
        };
        let answer = |answer| match answer {
            Value::Array(only) => only.first().cloned(),
            _ => None,
        };
        answers.into_iter().map(answer).collect()
    }

    #[test]
    fn the_answer_to_several_calls_shares_what_is_large_and_copies_what_is_small() {
        let (mut cache, files) = (cache(), many());
        let whole = map(&mut cache, &files);
        let large = block(&mut cache, 1 << 20);
        let small = block(&mut cache, 3);
        let fault = cache.write(&Answer::Fault(fault::busy("why")));
        let held = cache.budget.bytes();
        let all = several(&cache, &[&small, &whole, &large, &large, &fault, &whole, &small]);
        assert!(cache.budget.bytes() - held < 2 * SMALL_BYTES, "little is copied");
        let value = |document: &Document| xmlrpc::parse_response(&document.bytes()).unwrap().ok();
        let expected =
            [&small, &whole, &large, &large, &fault, &whole, &small].map(|answer| value(answer));
        assert!(answers(&all) == expected);
        drop((whole, large, small, fault));
        assert!(held <= cache.budget.bytes() + SMALL_BYTES, "what is shared is still held");
        drop(all);
        cache.files = None;
        cache.forget();
        assert_eq!(cache.budget.bytes(), 0);
    }

    #[test]
    fn the_answers_of_several_calls_together_are_bounded_except_for_small_ones() {
        let mut cache = cache();
        let large = block(&mut cache, ANSWER_BYTES_MAX / 5);
        let small = cache.write(&Answer::Boolean(true));
        let is_given = |answers: &[_]| answers.iter().map(Option::is_some).collect::<Vec<_>>();
        let four = several(&cache, &[&large, &large, &large, &large, &small]);
        assert_eq!(is_given(&answers(&four)), [true, true, true, false, true]);
        drop((large, four));
        let huge = block(&mut cache, ANSWER_BYTES_MAX);
        let huge = several(&cache, &[&small, &huge, &huge]);
        assert_eq!(is_given(&answers(&huge)), [true, true, false]);
    }
}
