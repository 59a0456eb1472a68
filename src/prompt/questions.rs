//! The questions that ask for a schema's fields, or for the kind of a document: templates in files
//! (`prompts/`), which are part of the binary and can be replaced one by one.

use std::path::{Path, PathBuf};

use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use crate::schema::{Absent, DocumentKind, Kind, NOT_FOUND, Printed, Property, Schema};

/// How the answer is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AnswerStyle {
    #[default]
    Json,
    /// `KEY: value`, a line each.
    Lines,
}

/// All templates.
#[derive(Debug)]
pub struct Questions {
    environment: Environment<'static>,
    /// By name, such as `receipt.json`.
    versions: Vec<(String, u32)>,
}

/// A question with the name and version of its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub text: String,
    /// `receipt.json@1`
    pub template: String,
}

/// What is wrong with a directory of templates.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    #[error("cannot read the prompts in {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is no prompt that is asked for; those are {known}", path.display())]
    Unknown { path: PathBuf, known: String },
    #[error("the prompt {name} does not begin with {{# version: N #}}: add that line")]
    NoVersion { name: String },
    #[error("the prompt {name} is not a template that works here: {reason}")]
    Template { name: String, reason: String },
    #[error("the directory {} has no prompts: put files such as receipt.json.jinja there", .0.display())]
    Empty(PathBuf),
}

/// A field as templates see it.
#[derive(Debug, Serialize)]
struct FieldView<'a> {
    name: &'a str,
    description: &'a str,
    form: String,
    absent: &'static str,
}

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/prompts/", $name, ".jinja")))),+]
    };
}

/// Name and text of every template.
const EMBEDDED: [(&str, &str); 9] = embedded![
    "receipt.json",
    "invoice.json",
    "bank_statement.json",
    "fields.json",
    "receipt.lines",
    "invoice.lines",
    "bank_statement.lines",
    "fields.lines",
    "classify",
];

const EXTENSION: &str = "jinja";

// === impl Questions ===

impl Questions {
    /// The templates in `dir`, and those that are built in where it has none.
    pub fn load(dir: Option<&Path>) -> Result<Self, QuestionError> {
        let mut texts: Vec<(String, String)> =
            EMBEDDED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        if let Some(dir) = dir {
            overwrite(&mut texts, dir)?;
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut versions = Vec::new();
        for (name, text) in texts {
            let wrong = |error: minijinja::Error| QuestionError::Template {
                name: name.clone(),
                reason: error.to_string(),
            };
            let (version, body) =
                version_of(&text).ok_or_else(|| QuestionError::NoVersion { name: name.clone() })?;
            environment
                .add_template_owned(name.clone(), body.trim_end_matches('\n').to_owned())
                .map_err(wrong)?;
            versions.push((name, version));
        }
        let questions = Self { environment, versions };
        questions.try_all()?;
        Ok(questions)
    }

    /// What to ask of pages whose fields are `schema`'s.
    pub fn extract(
        &self,
        schema: &Schema,
        style: AnswerStyle,
        instructions: &str,
    ) -> Result<Question, QuestionError> {
        let kind = schema.document().map_or("fields", DocumentKind::name);
        let style = match style {
            AnswerStyle::Json => "json",
            AnswerStyle::Lines => "lines",
        };
        let fields: Vec<FieldView<'_>> = schema.properties().iter().map(view).collect();
        let mut absent: Vec<&str> = Vec::new();
        for word in fields.iter().map(|field| field.absent).filter(|word| !word.is_empty()) {
            if !absent.contains(&word) {
                absent.push(word);
            }
        }
        let noun = schema.document().map_or("document", DocumentKind::noun);
        let values = context! { noun, fields, absent => absent.join(" or "), instructions };
        self.render(&format!("{kind}.{style}"), &values)
    }

    /// What to ask for the kind of a document.
    pub fn classify(&self, instructions: &str) -> Result<Question, QuestionError> {
        let kinds = DocumentKind::ALL.map(DocumentKind::name);
        self.render("classify", &context! { kinds, instructions })
    }

    fn render(&self, name: &str, values: &minijinja::Value) -> Result<Question, QuestionError> {
        let rendered = self.environment.get_template(name).and_then(|found| found.render(values));
        let text = rendered.map_err(|error| QuestionError::Template {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        let version = self.versions.iter().find(|(known, _)| known == name);
        let version = version.map_or(0, |(_, version)| *version);
        Ok(Question { text, template: format!("{name}@{version}") })
    }

    /// A template that cannot be rendered should fail the start, not the first request.
    fn try_all(&self) -> Result<(), QuestionError> {
        let own = Schema::new(vec![Property {
            name: "NAME".to_owned(),
            description: "what it means".to_owned(),
            kind: Kind::Date,
            absent: Absent::Null,
        }]);
        let schemas = DocumentKind::ALL.map(Schema::of).into_iter().chain(own);
        for schema in schemas {
            for style in [AnswerStyle::Json, AnswerStyle::Lines] {
                self.extract(&schema, style, "Advice.")?;
            }
        }
        self.classify("Advice.").map(drop)
    }
}

/// Takes the files of `dir` instead of the texts of the same name.
fn overwrite(texts: &mut [(String, String)], dir: &Path) -> Result<(), QuestionError> {
    let failed = |source| QuestionError::Read { path: dir.to_owned(), source };
    let mut found = 0;
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((_, text)) = texts.iter_mut().find(|(known, _)| *known == name) else {
            let known = EMBEDDED.map(|(name, _)| name).join(", ");
            return Err(QuestionError::Unknown { path, known });
        };
        *text = std::fs::read_to_string(&path)
            .map_err(|source| QuestionError::Read { path: path.clone(), source })?;
        found += 1;
    }
    if found == 0 { Err(QuestionError::Empty(dir.to_owned())) } else { Ok(()) }
}

/// The version that a template's first line says, and the rest.
fn version_of(text: &str) -> Option<(u32, &str)> {
    let (line, rest) = text.split_once('\n')?;
    let version = line.trim().strip_prefix("{# version:")?.strip_suffix("#}")?;
    Some((version.trim().parse().ok()?, rest))
}

fn view(property: &Property) -> FieldView<'_> {
    FieldView {
        name: &property.name,
        description: &property.description,
        form: form(&property.kind),
        absent: match property.absent {
            Absent::NotFound => NOT_FOUND,
            Absent::Null => "null",
            Absent::Never | Absent::LeftOut => "",
        },
    }
}

/// What the name of a field does not say.
fn said(kind: &Kind, description: &str) -> String {
    let form = form(kind);
    match (description, form.as_str()) {
        ("", form) => form.to_owned(),
        (description, "") => description.to_owned(),
        (description, form) => format!("{description} ({form})"),
    }
}

/// How a value is to be written; empty where it goes without saying.
fn form(kind: &Kind) -> String {
    match kind {
        Kind::Text { .. } | Kind::Printed(Printed::Money | Printed::Quantity | Printed::Abn) => {
            String::new()
        }
        Kind::Printed(Printed::Date) => "date as printed".to_owned(),
        Kind::Printed(Printed::DateRange) => "first and last date as printed".to_owned(),
        Kind::Printed(Printed::Boolean) | Kind::Boolean => "true or false".to_owned(),
        Kind::Integer => "whole number".to_owned(),
        Kind::Decimal => "number".to_owned(),
        Kind::Date => "YYYY-MM-DD".to_owned(),
        Kind::Choice(choices) => {
            let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
            format!("one of {}", choices.join(", "))
        }
        Kind::Joined { .. } => "all of them, with | between".to_owned(),
        Kind::List { item, .. } => match form(item) {
            item if item.is_empty() => "list".to_owned(),
            item => format!("list of {item}"),
        },
        Kind::Object(properties) => {
            let part = |property: &Property| match said(&property.kind, &property.description) {
                said if said.is_empty() => property.name.clone(),
                said => format!("{}: {said}", property.name),
            };
            let parts: Vec<String> = properties.iter().map(part).collect();
            format!("object with {}", parts.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn questions() -> Questions {
        Questions::load(None).unwrap()
    }

    fn json(schema: &Schema, instructions: &str) -> String {
        questions().extract(schema, AnswerStyle::Json, instructions).unwrap().text
    }

    #[test]
    fn built_in_questions() {
        let questions = DocumentKind::ALL.map(|kind| json(&Schema::of(kind), ""));
        expect![[r"
            Extract the fields of this receipt as JSON: DOCUMENT_TYPE, BUSINESS_ABN, SUPPLIER_NAME, BUSINESS_ADDRESS, PAYER_NAME, PAYER_ADDRESS, INVOICE_DATE, LINE_ITEM_DESCRIPTIONS, LINE_ITEM_QUANTITIES, LINE_ITEM_PRICES, LINE_ITEM_TOTAL_PRICES, IS_GST_INCLUDED, GST_AMOUNT, TOTAL_AMOUNT. Write NOT_FOUND for what is absent.
            Extract the fields of this invoice as JSON: DOCUMENT_TYPE, BUSINESS_ABN, SUPPLIER_NAME, BUSINESS_ADDRESS, PAYER_NAME, PAYER_ADDRESS, INVOICE_DATE, LINE_ITEM_DESCRIPTIONS, LINE_ITEM_QUANTITIES, LINE_ITEM_PRICES, LINE_ITEM_TOTAL_PRICES, IS_GST_INCLUDED, GST_AMOUNT, TOTAL_AMOUNT. Write NOT_FOUND for what is absent.
            Extract the fields of this bank statement as JSON: DOCUMENT_TYPE, STATEMENT_DATE_RANGE, TRANSACTION_DATES, TRANSACTION_DESCRIPTIONS, TRANSACTION_AMOUNTS_PAID, TRANSACTION_AMOUNTS_RECEIVED, ACCOUNT_BALANCE. Write NOT_FOUND for what is absent."]]
        .assert_eq(&questions.join("\n"));
    }

    const OWN: &str = r#"{"type": "object", "required": ["total", "lines"], "properties": {
        "supplier": {"type": ["string", "null"]},
        "total": {"type": "string", "format": "money", "description": "with tax"},
        "due": {"type": ["string", "null"], "format": "date", "description": "when to pay"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["name", "unit"], "properties": {
            "name": {"type": "string"}, "unit": {"enum": ["kg", "each"]}}}}}}"#;

    #[test]
    fn questions_of_other_schemas() {
        let schema = Schema::from_json_schema(OWN).unwrap();
        expect![[r#"
            Extract the fields of this document as JSON: supplier, total, due, lines. Write null for what is absent.
            total: with tax
            due: when to pay (YYYY-MM-DD)
            lines: list of object with name; unit: one of "kg", "each"
            Prices are in AUD."#]].assert_eq(&json(&schema, "Prices are in AUD."));
        let lines = questions().extract(&schema, AnswerStyle::Lines, "Prices are in AUD.").unwrap();
        expect![[r#"
            Read this document and write its data in exactly this form, one line for each key:

            supplier: null
            total: VALUE
            due: null
            lines: VALUE

            Replace null by what the page says; keep it where the page does not say. Write nothing else. Where there are several items, put " | " between them.
            - total: with tax
            - due: when to pay (YYYY-MM-DD)
            - lines: list of object with name; unit: one of "kg", "each"
            - Prices are in AUD."#]].assert_eq(&lines.text);
    }

    #[test]
    fn questions_for_lines() {
        let schema = Schema::of(DocumentKind::BankStatement);
        let question = questions().extract(&schema, AnswerStyle::Lines, "").unwrap();
        expect![[r#"
            Read this bank statement and write its data in exactly this form, one line for each key:

            DOCUMENT_TYPE: NOT_FOUND
            STATEMENT_DATE_RANGE: NOT_FOUND
            TRANSACTION_DATES: NOT_FOUND
            TRANSACTION_DESCRIPTIONS: NOT_FOUND
            TRANSACTION_AMOUNTS_PAID: NOT_FOUND
            TRANSACTION_AMOUNTS_RECEIVED: NOT_FOUND
            ACCOUNT_BALANCE: NOT_FOUND

            Replace NOT_FOUND by what the page says; keep it where the page does not say. Write nothing else.
            - DOCUMENT_TYPE is receipt, invoice or bank_statement.
            - STATEMENT_DATE_RANGE has the first and the last date. ACCOUNT_BALANCE is the closing balance.
            - Each transaction has one item in every list, in the order of the page, with " | " between items; an amount that a transaction does not have is NOT_FOUND."#]].assert_eq(&question.text);
        assert_eq!(question.template, "bank_statement.lines@1");
    }

    /// The words that `tessera-tiny` was trained with.
    #[test]
    fn the_question_for_the_kind() {
        let question = questions().classify("").unwrap();
        assert_eq!(
            question.text,
            "What type of document is this? Answer receipt, invoice or bank_statement."
        );
    }

    #[test]
    fn instructions_follow_after_a_space() {
        let question = json(&Schema::of(DocumentKind::Receipt), "Dates as DD/MM/YYYY.");
        assert!(question.ends_with("Write NOT_FOUND for what is absent. Dates as DD/MM/YYYY."));
    }

    /// Names and text of templates as files.
    fn load(files: &[(&str, &str)]) -> Result<Questions, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Questions::load(Some(dir.path())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_takes_the_place_of_its_template() {
        let own =
            load(&[("classify.jinja", "{# version: 7 #}\nKind?\n"), ("notes.txt", "x")]).unwrap();
        let question = own.classify("").unwrap();
        assert_eq!((question.text.as_str(), question.template.as_str()), ("Kind?", "classify@7"));
        let other = own.extract(&Schema::of(DocumentKind::Receipt), AnswerStyle::Json, "").unwrap();
        assert_eq!(other.template, "receipt.json@1");
    }

    #[test]
    fn a_template_that_does_not_work_fails_the_start() {
        for (name, text, expected) in [
            ("recipt.json.jinja", "{# version: 1 #}\nx", "is no prompt that is asked for"),
            ("receipt.json.jinja", "Extract.", "version: N"),
            ("receipt.json.jinja", "{# version: 1 #}\n{{ nouns }}", "undefined"),
            ("receipt.json.jinja", "{# version: 1 #}\n{% if %}", "not a template"),
            ("receipt.txt", "x", "has no prompts"),
        ] {
            let error = load(&[(name, text)]).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
