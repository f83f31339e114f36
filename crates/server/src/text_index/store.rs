//! One namespace's index on the disk: a document for each file, with its text if it has one. That it has none is worth remembering:
//! it may have cost a minute.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cairn_core::ids::{FileId, Incarnation, NamespaceId, NodeId};
use cairn_core::node::FileContent;
use cairn_core::rev::{Cursor, Seq};
use serde::{Deserialize, Serialize};
use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::IndexWriterOptions;
use tantivy::query::{BooleanQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::snippet::SnippetGenerator;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::words::{self, Words};
use super::{Result, key_of};
use crate::data_folder::make_private_folder;

/// Bytes of memory in which documents are collected before they are written: the least that there can be.
const WRITER_BYTES: usize = 15_000_000;
/// Words of a query that count.
const MOST_WORDS: usize = 32;
/// Bytes of texts in which one answer's passages are looked for.
const PASSAGES_BYTES: usize = 16 << 20;
/// Letters of a passage.
const PASSAGE_CHARS: usize = 150;

/// An index that is open.
pub(super) struct Opened {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

#[derive(Clone, Copy)]
struct Fields {
    /// The file.
    node: Field,
    /// The id of its content.
    content: Field,
    /// What tells that content from others: see [`key_of`].
    key: Field,
    /// The text of it.
    text: Field,
}

/// A file that held the words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// The file.
    pub(crate) node: NodeId,
    key: u64,
    address: DocAddress,
}

impl Hit {
    /// Whether the words were found in this content.
    pub(crate) fn is_of(&self, file: &FileContent) -> bool {
        self.key == key_of(file)
    }
}

/// A piece of a passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its text.
    pub(crate) text: String,
    /// Whether it is one of the words.
    pub(crate) is_word: bool,
}

/// How far an index has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// What stood in the tree at a position is looked at, in the order of ids.
    Listing { at: Cursor, after: Option<NodeId> },
    /// It has followed the journal to here.
    Following(Cursor),
}

/// What is known of a file before it is looked into.
pub(super) enum Known {
    /// The index has it.
    Same,
    /// What another file with the same content was found to hold.
    Text(Option<String>),
    /// Nothing.
    Nothing,
}

impl Opened {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        make_private_folder(folder)?;
        let mut schema = Schema::builder();
        let words = TextFieldIndexing::default()
            .set_tokenizer("words")
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let fields = Fields {
            node: schema.add_u64_field("node", INDEXED | FAST),
            content: schema.add_bytes_field("content", INDEXED),
            key: schema.add_u64_field("key", FAST),
            text: schema.add_text_field(
                "text",
                TextOptions::default().set_indexing_options(words) | STORED,
            ),
        };
        let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
        let index = Index::open_or_create(directory, schema.build())?;
        index.tokenizers().register("words", TextAnalyzer::from(Words));
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            index,
            reader,
            fields,
        })
    }

    /// How far it has come; `None` when it has not begun.
    pub(super) fn progress(&self) -> Result<Option<Progress>> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.as_deref().and_then(Progress::read))
    }

    /// Files that hold every word of a query, the best first, at most `limit`.
    pub(super) fn find(&self, query: &str, limit: usize) -> Result<Vec<Hit>> {
        let Some(query) = self.query(query) else {
            return Ok(Vec::new());
        };
        let searcher = self.reader.searcher();
        let found = searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        let columns = searcher.segment_readers().iter().map(|segment| {
            let fields = segment.fast_fields();
            Ok((fields.u64("node")?, fields.u64("key")?))
        });
        let columns = columns.collect::<tantivy::Result<Vec<_>>>()?;
        let hit = |(_, address): (f32, DocAddress)| {
            let (nodes, keys) = columns.get(address.segment_ord as usize)?;
            let node = i64::try_from(nodes.first(address.doc_id)?).ok()?;
            Some(Hit {
                node: NodeId::new(node).ok()?,
                key: keys.first(address.doc_id)?,
                address,
            })
        };
        Ok(found.into_iter().filter_map(hit).collect())
    }

    /// Each word of a query, as it is cut, one after another as a phrase.
    fn query(&self, query: &str) -> Option<BooleanQuery> {
        let texts = query.split_whitespace().take(MOST_WORDS);
        let phrase = |text: &str| -> Option<(Occur, Box<dyn Query>)> {
            let term = |word: &String| Term::from_field_text(self.fields.text, word);
            let terms: Vec<Term> = words::of(text).iter().map(term).collect();
            let query: Box<dyn Query> = match <[Term; 1]>::try_from(terms) {
                Ok([term]) => Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
                Err(terms) if terms.is_empty() => return None,
                Err(terms) => Box::new(PhraseQuery::new(terms)),
            };
            Some((Occur::Must, query))
        };
        let phrases: Vec<_> = texts.filter_map(phrase).collect();
        (!phrases.is_empty()).then(|| BooleanQuery::new(phrases))
    }

    /// The passages that hold the words, of each hit.
    pub(super) fn passages(&self, query: &str, hits: &[Hit]) -> Result<Vec<Vec<Span>>> {
        let searcher = self.reader.searcher();
        let mut passages = vec![Vec::new(); hits.len()];
        let Some(query) = self.query(query) else {
            return Ok(passages);
        };
        let mut generator = SnippetGenerator::create(&searcher, &query, self.fields.text)?;
        generator.set_max_num_chars(PASSAGE_CHARS);
        let mut looked_at = 0;
        for (hit, spans) in hits.iter().zip(&mut passages) {
            // It may have been written anew between the look for hits and this one: then what stands there is another file.
            let Some(text) = self.text_at(&searcher, hit)? else {
                continue;
            };
            looked_at += text.len();
            if looked_at > PASSAGES_BYTES {
                break;
            }
            let passage = generator.snippet(&text);
            *spans = spans_of(passage.fragment(), passage.highlighted());
        }
        Ok(passages)
    }

    fn text_at(&self, searcher: &tantivy::Searcher, hit: &Hit) -> Result<Option<String>> {
        let segment = hit.address.segment_ord as usize;
        let Some(segment) = searcher.segment_readers().get(segment) else {
            return Ok(None);
        };
        let node = segment.fast_fields().u64("node")?;
        let is_there = hit.address.doc_id < segment.max_doc()
            && node.first(hit.address.doc_id) == u64::try_from(hit.node.get()).ok();
        match is_there {
            true => Ok(self.text_of(searcher, hit.address)?),
            false => Ok(None),
        }
    }

    fn text_of(&self, searcher: &tantivy::Searcher, address: DocAddress) -> tantivy::Result<Option<String>> {
        let document: TantivyDocument = searcher.doc(address)?;
        let text = document.get_first(self.fields.text);
        Ok(text.and_then(|text| text.as_str().map(str::to_owned)))
    }

    /// What is known of a file with this content.
    fn known(&self, node: NodeId, content: FileId, may_be_same: bool) -> Result<Known> {
        let searcher = self.reader.searcher();
        let same = Term::from_field_bytes(self.fields.content, content.as_bytes());
        let query = TermQuery::new(same.clone(), IndexRecordOption::Basic);
        let of_node = TermQuery::new(self.term(node), IndexRecordOption::Basic);
        let both = BooleanQuery::intersection(vec![Box::new(query.clone()), Box::new(of_node)]);
        let one = || TopDocs::with_limit(1).order_by_score();
        if may_be_same && !searcher.search(&both, &one())?.is_empty() {
            return Ok(Known::Same);
        }
        let others = searcher.search(&query, &one())?;
        match others.first() {
            Some((_, address)) => Ok(Known::Text(self.text_of(&searcher, *address)?)),
            None => Ok(Known::Nothing),
        }
    }

    fn term(&self, node: NodeId) -> Term {
        Term::from_field_u64(self.fields.node, node.get().unsigned_abs())
    }
}

/// A passage in pieces.
fn spans_of(passage: &str, words: &[std::ops::Range<usize>]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    let mut push = |range: std::ops::Range<usize>, is_word| {
        if let Some(text) = passage.get(range).filter(|text| !text.is_empty()) {
            let text = text.to_owned();
            spans.push(Span { text, is_word });
        }
    };
    for word in words {
        push(at..word.start, false);
        push(word.clone(), true);
        at = word.end;
    }
    if !words.is_empty() {
        push(at..passage.len(), false);
    }
    spans
}

/// Writes to one index.
pub(super) struct Filling {
    opened: std::sync::Arc<Opened>,
    writer: IndexWriter,
    /// Texts of contents since the last commit: copies often come together.
    recent: HashMap<FileId, Option<String>>,
    /// Files that were changed since then: what the reader knows of them is outdated.
    touched: HashSet<NodeId>,
    /// Bytes of texts that were added since then.
    pub(super) pending_bytes: usize,
}

impl Filling {
    pub(super) fn begin(opened: std::sync::Arc<Opened>) -> Result<Self> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        let writer = opened.index.writer_with_options(options)?;
        Ok(Self {
            opened,
            writer,
            recent: HashMap::new(),
            touched: HashSet::new(),
            pending_bytes: 0,
        })
    }

    /// What is known of a file with this content.
    pub(super) fn known(&self, node: NodeId, content: FileId) -> Result<Known> {
        match self.recent.get(&content) {
            Some(text) => Ok(Known::Text(text.clone())),
            None => self.opened.known(node, content, !self.touched.contains(&node)),
        }
    }

    /// Takes a file out.
    pub(super) fn remove(&mut self, node: NodeId) {
        self.touched.insert(node);
        self.writer.delete_term(self.opened.term(node));
    }

    /// Puts a file in, with its text if it has one.
    pub(super) fn put(&mut self, node: NodeId, file: &FileContent, text: Option<String>) -> Result<()> {
        self.remove(node);
        let fields = self.opened.fields;
        let mut document = TantivyDocument::default();
        document.add_u64(fields.node, node.get().unsigned_abs());
        document.add_bytes(fields.content, file.file_id.as_bytes());
        document.add_u64(fields.key, key_of(file));
        if let Some(text) = &text {
            document.add_text(fields.text, text);
            self.pending_bytes += text.len();
        }
        self.writer.add_document(document)?;
        self.recent.insert(file.file_id, text);
        Ok(())
    }

    /// Forgets everything: what follows is a listing.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.writer.delete_all_documents()?;
        self.recent.clear();
        self.touched.clear();
        Ok(())
    }

    /// Makes what was done count.
    pub(super) fn commit(&mut self, progress: &Progress) -> Result<()> {
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&progress.write());
        prepared.commit()?;
        self.opened.reader.reload()?;
        self.recent.clear();
        self.touched.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// Waits for what the writer does in the background.
    pub(super) fn end(self) -> Result<()> {
        Ok(self.writer.wait_merging_threads()?)
    }
}

/// [`Progress`] as it is kept with a commit.
#[derive(Serialize, Deserialize)]
struct Payload {
    namespace: i64,
    incarnation: String,
    seq: i64,
    chain: String,
    is_listing: bool,
    after: Option<i64>,
}

impl Progress {
    /// Where in the journal that is.
    pub(super) const fn cursor(&self) -> &Cursor {
        match self {
            Self::Listing { at, .. } => at,
            Self::Following(cursor) => cursor,
        }
    }

    fn write(&self) -> String {
        let cursor = self.cursor();
        let after = match self {
            Self::Listing { after, .. } => *after,
            Self::Following(_) => None,
        };
        let payload = Payload {
            namespace: cursor.namespace.get(),
            incarnation: cursor.incarnation.to_string(),
            seq: cursor.seq.get(),
            chain: cursor.chain.to_string(),
            is_listing: matches!(self, Self::Listing { .. }),
            after: after.map(NodeId::get),
        };
        serde_json::to_string(&payload).unwrap_or_default()
    }

    fn read(text: &str) -> Option<Self> {
        let payload: Payload = serde_json::from_str(text).ok()?;
        let cursor = Cursor {
            namespace: NamespaceId::new(payload.namespace).ok()?,
            incarnation: payload.incarnation.parse::<Incarnation>().ok()?,
            seq: Seq::new(payload.seq)?,
            chain: payload.chain.parse().ok()?,
        };
        Some(match payload.is_listing {
            true => Self::Listing {
                at: cursor,
                after: payload.after.and_then(|after| NodeId::new(after).ok()),
            },
            false => Self::Following(cursor),
        })
    }
}
