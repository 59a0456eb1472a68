//! Every bound of the program, units last in the name, with the relations between them proven at
//! compile time.

/// Encoded size of one gRPC request message.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;
/// Encoded size of all but the contents of files in one request message.
pub const REQUEST_BESIDES_FILES_BYTES_MAX: usize = 256 << 10;
/// The shortest item of a repeated field on the wire: a tag and a length.
pub const PROTO_ITEM_BYTES_MIN: usize = 2;
/// What one byte of a message may become when it is decoded, contents of files aside.
pub const DECODED_BYTES_PER_BYTE_MAX: usize = 64;
/// Encoded size of one gRPC response message: clients that were not told otherwise take this much.
pub const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Encoded size of one event of an answer, which a response message wraps.
pub const EVENT_BYTES_MAX: usize = RESPONSE_BYTES_MAX - 1024;
/// Calls that one connection may have open, whatever the configuration asks for.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
/// Bytes of all requests that arrive, wait and run, where nobody says.
pub const REQUEST_MEMORY_BYTES: usize = 2 << 30;
/// Silence in the middle of a request's message after which its call ends, where nobody says.
pub const RECEIVE_MS_DEFAULT: u64 = 30_000;
/// How long one message of a request may take to come, however steadily: the largest at 112 kB a second.
pub const MESSAGE_MS_MAX: u64 = 600_000;
/// Connections at once: each costs a file descriptor and some buffers.
pub const CONNECTIONS_MAX: usize = 10_000;
/// What a peer may take to agree on TLS, and then to say its first word.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Silence of a peer after which it is asked whether it is there, and what it may take to answer.
pub const KEEPALIVE_INTERVAL_MS: u64 = 30_000;
pub const KEEPALIVE_TIMEOUT_MS: u64 = 20_000;
/// What the calls of a connection that reached its age may take to end.
pub const CONNECTION_GRACE_MS: u64 = 600_000;
/// How often files that may change under a running server are looked at.
pub const RELOAD_INTERVAL_MS: u64 = 5_000;
/// Documents without an outcome in one batch call.
pub const BATCH_IN_FLIGHT_MAX: usize = 64;
/// Size of one page file inside a request.
pub const FILE_BYTES_MAX: usize = 48 << 20;
/// Bytes of the URI that names one file: signed ones have a token inside.
pub const URI_BYTES_MAX: usize = 4096;
/// What is fetched from all URIs of one request together: as much as one message brings.
pub const FETCHED_BYTES_MAX: usize = REQUEST_BYTES_MAX;
/// What the files of one request may take to come, where nobody says, and at most.
pub const FETCH_MS_DEFAULT: u64 = 30_000;
pub const FETCH_MS_MAX: u64 = 600_000;
/// Files that are fetched at once, where nobody says, and at most.
pub const FETCHES_DEFAULT: usize = 16;
pub const FETCHES_MAX: usize = 1024;
/// Addresses of one host that are tried, and what each may take to answer.
pub const FETCH_ADDRESSES_MAX: usize = 4;
pub const FETCH_CONNECT_MS_MAX: u64 = 5_000;
/// What is read of a connection before its file takes it; the head of an answer is no longer.
pub const FETCH_BUFFER_BYTES: usize = 64 << 10;
/// Origins, and networks beside the public ones, that an operator may list.
pub const FETCH_LISTED_MAX: usize = 256;
/// Pages of one document, over all its files.
pub const PAGES_MAX: usize = 16;
/// Width times height of one page before scaling; decoded as RGB this is 192 MB.
pub const PAGE_PIXELS_MAX: u64 = 64_000_000;
/// Longest side of one page before scaling.
pub const PAGE_SIDE_PX_MAX: u32 = 32_768;
/// Resolutions of a PDF page that a request may ask for, in dots per inch.
pub const PDF_DPI_MIN: u32 = 24;
pub const PDF_DPI_MAX: u32 = 600;
/// What a request gets that does not ask: what the model reads of an A4 page is no finer.
pub const PDF_DPI_DEFAULT: u32 = 200;
/// How long one page of a PDF may take to render.
pub const PDF_PAGE_MS_MAX: u64 = 20_000;
/// Memory of the process that renders one PDF.
pub const PDF_MEMORY_BYTES_MAX: u64 = 3 << 30;
/// Bytes of the text of one PDF page; of a page with more it is not known.
pub const PDF_TEXT_BYTES_MAX: usize = 256 << 10;
/// Pages of a TIFF file, of which a request may name some.
pub const TIFF_DIRECTORIES_MAX: usize = 4096;
/// Bytes of the prompt text of one request.
pub const PROMPT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a client's request id.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Stop sequences of one request.
pub const STOP_SEQUENCES_MAX: usize = 4;
/// Bytes of one stop sequence.
pub const STOP_SEQUENCE_BYTES_MAX: usize = 256;
/// Tiles of one page without the thumbnail, whatever a checkpoint or a flag asks for.
pub const TILES_PER_PAGE_MAX: u32 = 40;

/// Events that wait for one slow reader before its request is paused.
pub const EVENTS_BUFFERED_MAX: usize = 64;
/// How long a request may wait for its reader before it is ended.
pub const SLOW_CLIENT_MS_MAX: u64 = 30_000;
/// How long a response may wait for its reader before its call is ended.
pub const UNREAD_MS_MAX: u64 = 120_000;
/// Tokens of one request that may be joined into one piece for a slow reader before the request is
/// paused.
pub const JOINED_TOKENS_MAX: usize = 64;
/// Longest silence on a stream: below the smallest idle timeout on common paths.
pub const HEARTBEAT_MS: u64 = 20_000;

/// Steps of one request that its trace may hold; 80 bytes or so each, set aside when it is prepared.
pub const TRACED_STEPS_MAX: usize = 16_384;

/// Lists and objects inside one another whose leaves are fields; what is deeper is in the document only.
pub const FIELD_DEPTH_MAX: usize = 32;
/// Bytes of a field's JSON pointer; each of its events has it.
pub const FIELD_POINTER_BYTES_MAX: usize = 256;

/// Bytes of JSON Schema text.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Properties of one schema, those of inner objects included.
pub const SCHEMA_PROPERTIES_MAX: usize = 256;
/// Objects of a schema inside one another.
pub const SCHEMA_DEPTH_MAX: usize = 6;
/// Characters of a string value where the schema does not say.
pub const TEXT_CHARS_DEFAULT: usize = 256;
/// Characters of a string value, whatever the schema says.
pub const TEXT_CHARS_MAX: usize = 2048;
/// Characters of one item of a list that is written as one text.
pub const ITEM_CHARS_MAX: usize = 96;
/// Items of a list where the schema does not say.
pub const LIST_ITEMS_DEFAULT: usize = 64;
/// Items of a list, whatever the schema says.
pub const LIST_ITEMS_MAX: usize = 256;
/// Values that one field may be chosen from.
pub const CHOICES_MAX: usize = 256;
/// Bytes of the JSON text of one such value.
pub const CHOICE_BYTES_MAX: usize = 256;

/// Compiled grammars that are kept for the next request that asks for the same.
pub const GRAMMARS_KEPT_MAX: usize = 32;

/// Equal models behind one endpoint: as many as a machine has GPUs, at most.
pub const REPLICAS_MAX: usize = 64;

/// Parsers that wait for the next answer, of all grammars together: of a full vocabulary 3 to 5 MB each.
pub const PARSERS_WAITING_MAX: usize = 16;

/// Answers that one parser reads: what it learns makes it faster, and larger.
pub const ANSWERS_OF_A_PARSER_MAX: usize = 32;

/// Threads that compute masks.
pub const MASK_THREADS_MAX: usize = 16;

/// Requests that may run at once, whatever the configuration asks for.
pub const RUNNING_REQUESTS_MAX: usize = 1024;
/// Tokens of all requests together that the KV cache may be asked to hold.
pub const KV_TOKENS_MAX: usize = 1 << 30;
/// Requests that may wait, whatever the configuration asks for.
pub const QUEUED_REQUESTS_MAX: usize = 65_536;
/// Prompt tokens of the requests that wait, whatever the configuration asks for.
pub const QUEUED_TOKENS_MAX: usize = 1 << 40;
/// Prompt tokens that one step takes in beside the decoding sequences (chunked prefill).
pub const PREFILL_CHUNK_TOKENS_MAX: usize = 16_384;
/// Tiles that the vision encoder takes in between two steps: what running sequences wait for.
pub const VISION_CHUNK_TILES: usize = 16;
/// Threads that decode, tile and tokenise.
pub const INTAKE_THREADS_MAX: usize = 64;
/// Pixels of prepared requests that wait for the vision encoder; preparing waits beyond it.
pub const PIXEL_BYTES_WAITING_MAX: usize = 2 << 30;
/// Forward passes in a row that may fail for every sequence before the model counts as failed.
pub const DEVICE_FAILURES_MAX: usize = 3;

const _: () = assert!(REQUEST_BYTES_MAX <= REQUEST_MEMORY_BYTES);
const _: () = assert!(RECEIVE_MS_DEFAULT <= MESSAGE_MS_MAX);
const _: () = assert!(RELOAD_INTERVAL_MS > 0);
const _: () = assert!(FILE_BYTES_MAX <= REQUEST_BYTES_MAX);
const _: () = assert!(FILE_BYTES_MAX <= FETCHED_BYTES_MAX && FETCH_MS_DEFAULT <= FETCH_MS_MAX);
// As many URIs as there may be files leave most of a message to all else.
const _: () = assert!(URI_BYTES_MAX * PAGES_MAX * 2 <= REQUEST_BESIDES_FILES_BYTES_MAX);
// A page of the largest size is rendered at 4 bytes a pixel and sent on at 3, beside the file itself.
const _: () = assert!(PAGE_PIXELS_MAX * 7 + FILE_BYTES_MAX as u64 <= PDF_MEMORY_BYTES_MAX);
const _: () = assert!(PDF_DPI_MIN <= PDF_DPI_DEFAULT && PDF_DPI_DEFAULT <= PDF_DPI_MAX);
const _: () = assert!(PAGES_MAX <= TIFF_DIRECTORIES_MAX);
const _: () = assert!(PAGE_PIXELS_MAX <= (PAGE_SIDE_PX_MAX as u64) * (PAGE_SIDE_PX_MAX as u64));
// The largest schema and its instructions fit, with as much again for all else.
const _: () = assert!(SCHEMA_BYTES_MAX + PROMPT_BYTES_MAX <= REQUEST_BESIDES_FILES_BYTES_MAX / 2);
// Decoded, no message takes more beside its files than one file does. Lists grow by doubling: while one moves there
// are three times what it needs at most.
const _: () =
    assert!(REQUEST_BESIDES_FILES_BYTES_MAX * DECODED_BYTES_PER_BYTE_MAX * 3 <= FILE_BYTES_MAX);
const _: () = assert!(REQUEST_BESIDES_FILES_BYTES_MAX < REQUEST_BYTES_MAX);
// A response of a batch has the document's name beside the event; tags, lengths and numbers take a few bytes each.
const _: () = assert!(EVENT_BYTES_MAX + REQUEST_ID_BYTES_MAX + 128 <= RESPONSE_BYTES_MAX);
// The engine ends what nobody reads, and says so, before its call is ended.
const _: () = assert!(SLOW_CLIENT_MS_MAX < UNREAD_MS_MAX);
const _: () = assert!(SCHEMA_DEPTH_MAX < FIELD_DEPTH_MAX);
const _: () = assert!(TEXT_CHARS_DEFAULT <= TEXT_CHARS_MAX && LIST_ITEMS_DEFAULT <= LIST_ITEMS_MAX);
const _: () = assert!(HEARTBEAT_MS < SLOW_CLIENT_MS_MAX);
