//! Tokenizer files in their two forms: `tokenizer.json`, or `vocab.json` with `merges.txt` as the
//! original repositories have them. Added tokens may also stand in `tokenizer_config.json` and
//! `added_tokens.json`; all files must agree on ids.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::PromptError;
use super::tokenizer::STRUCTURE;
use crate::checkpoint::Checkpoint;

const FAST: &str = "tokenizer.json";
const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";
const CONFIG: &str = "tokenizer_config.json";
const ADDED: &str = "added_tokens.json";
const SPECIAL: &str = "special_tokens_map.json";

/// How Qwen2 cuts text before BPE. `tokenizer.json` carries it; the other form leaves it to code.
const QWEN2_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Added tokens by id, each with the file that says so.
type AddedTokens = BTreeMap<u32, (AddedToken, &'static str)>;

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<u32, AddedToken>,
}

/// The tokenizer of `checkpoint`, and the file that it is from.
pub(super) fn tokenizer(checkpoint: &Checkpoint) -> Result<(Tokenizer, &'static str), PromptError> {
    let added = added_tokens(checkpoint)?;
    let (mut tokenizer, file) = if let Some(bytes) = checkpoint.read(FAST)? {
        (Tokenizer::from_bytes(bytes).map_err(|error| wrong(FAST, &error))?, FAST)
    } else {
        (from_vocab_and_merges(checkpoint, &added)?, VOCAB)
    };
    add_missing(&mut tokenizer, &added)?;
    // The prompt is made of these whatever the files call them, so text must not spell them.
    let structure = STRUCTURE
        .iter()
        .filter(|content| tokenizer.token_to_id(content).is_some())
        .map(|content| AddedToken::from(*content, true));
    let structure: Vec<AddedToken> = structure.collect();
    tokenizer.add_special_tokens(structure).map_err(|error| wrong(file, &error))?;
    // A stored training-time limit would cut prompts without a word.
    tokenizer.with_truncation(None).map_err(|error| wrong(file, &error))?;
    tokenizer.with_padding(None);
    Ok((tokenizer, file))
}

fn added_tokens(checkpoint: &Checkpoint) -> Result<AddedTokens, PromptError> {
    let config: ConfigFile = checkpoint.json(CONFIG)?.unwrap_or_default();
    let mut added: AddedTokens =
        config.added_tokens_decoder.into_iter().map(|(id, token)| (id, (token, CONFIG))).collect();
    let ids: BTreeMap<String, u32> = checkpoint.json(ADDED)?.unwrap_or_default();
    let special: Option<Value> = checkpoint.json(SPECIAL)?;
    for (content, expected) in ids {
        let listed = added.iter().find(|(_, (token, _))| token.content == content);
        match listed.map(|(id, _)| *id) {
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(PromptError::TokenId { file: ADDED, token: content, expected, found });
            }
            None => {
                let is_special = special.as_ref().is_none_or(|map| mentions(map, &content));
                let token = AddedToken::from(content, is_special).normalized(false);
                added.insert(expected, (token, ADDED));
            }
        }
    }
    Ok(added)
}

/// Whether `content` is anywhere in a special tokens map: texts, token objects, lists of either.
fn mentions(map: &Value, content: &str) -> bool {
    match map {
        Value::String(text) => text == content,
        Value::Array(values) => values.iter().any(|value| mentions(value, content)),
        Value::Object(entries) => entries.values().any(|value| mentions(value, content)),
        _ => false,
    }
}

fn from_vocab_and_merges(
    checkpoint: &Checkpoint,
    added: &AddedTokens,
) -> Result<Tokenizer, PromptError> {
    let vocab: Option<HashMap<String, u32>> = checkpoint.json(VOCAB)?;
    let (Some(mut vocab), Some(merges)) = (vocab, checkpoint.read(MERGES)?) else {
        return Err(PromptError::NoTokenizer { checkpoint: checkpoint.clone() });
    };
    let merges = parse_merges(&merges, &vocab)?;
    // An added token takes the id that the vocabulary has for it; without one it would get the
    // next free id, which is wrong where ids have gaps.
    for (id, (token, _)) in added {
        vocab.entry(token.content.clone()).or_insert(*id);
    }
    let model = BPE::builder()
        .vocab_and_merges(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
        .build()
        .map_err(|error| wrong(MERGES, &error))?;
    let pattern = SplitPattern::Regex(QWEN2_SPLIT.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map_err(|error| wrong(VOCAB, &error))?;
    let byte_level = ByteLevel::new(false, false, false);
    let pre_tokenizers: Vec<PreTokenizerWrapper> = vec![split.into(), byte_level.into()];
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(NFC)).map_err(|error| wrong(VOCAB, &error))?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(pre_tokenizers)));
    tokenizer.with_decoder(Some(byte_level));
    Ok(tokenizer)
}

/// The pairs of merges.txt. Each must make a token of the vocabulary, which the builder takes for
/// granted.
fn parse_merges(
    bytes: &[u8],
    vocab: &HashMap<String, u32>,
) -> Result<Vec<(String, String)>, PromptError> {
    let wrong = |reason: String| PromptError::Tokenizer { file: MERGES, reason };
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    let mut merges = Vec::with_capacity(vocab.len());
    for (i, line) in text.lines().enumerate() {
        if line.is_empty() || (i == 0 && line.starts_with("#version")) {
            continue;
        }
        let pair = line.split_once(' ').filter(|(a, b)| {
            vocab.contains_key(*a)
                && vocab.contains_key(*b)
                && vocab.contains_key(&format!("{a}{b}"))
        });
        let Some((a, b)) = pair else {
            return Err(wrong(format!("line {} joins no tokens of {VOCAB}: {line:?}", i + 1)));
        };
        merges.push((a.to_owned(), b.to_owned()));
    }
    Ok(merges)
}

/// Adds what the tokenizer does not know yet, in the order of ids, and checks all ids.
fn add_missing(tokenizer: &mut Tokenizer, added: &AddedTokens) -> Result<(), PromptError> {
    let known = tokenizer.get_added_vocabulary().get_vocab();
    let missing: Vec<AddedToken> = added
        .values()
        .filter(|(token, _)| !known.contains_key(&token.content))
        .map(|(token, _)| token.clone())
        .collect();
    tokenizer.add_tokens(missing).map_err(|error| wrong(CONFIG, &error))?;
    for (&expected, (token, file)) in added {
        let found = tokenizer.token_to_id(&token.content);
        if let Some(found) = found.filter(|found| *found != expected) {
            let token = token.content.clone();
            return Err(PromptError::TokenId { file, token, expected, found });
        }
    }
    Ok(())
}

fn wrong(file: &'static str, error: &tokenizers::Error) -> PromptError {
    PromptError::Tokenizer { file, reason: error.to_string() }
}
