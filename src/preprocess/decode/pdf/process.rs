//! A child of this program renders a PDF file: it gets the file on stdin, sends pages on stdout, and has
//! so much memory and time and no more. Whatever a file does to it, only that file's request fails.

use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::frames::{self, Frame};
use super::{PdfError, RendererProgram, render as here};
use crate::limits;
use crate::preprocess::decode::{DecodeError, DecodeLimits, NumberedPage, Wanted};

/// How often to ask whether the pages are still wanted.
const ASK: Duration = Duration::from_millis(25);
/// Pages that wait to be taken out of the pipe.
const PAGES_WAITING: usize = 2;
/// How long a child that has closed its pipes may take to end.
const END: Duration = Duration::from_secs(1);
/// What a program ends with whose libraries are not found.
const NOT_LOADED: i32 = 127;

/// Renders with `program`, whose command `render-pdf` is [`serve`].
pub(super) fn render(
    program: &RendererProgram,
    bytes: &[u8],
    wanted: &Wanted,
    limits: &DecodeLimits,
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<NumberedPage>, DecodeError> {
    let mut child =
        spawn(program, wanted, limits).map_err(|error| not_started(error.to_string()))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (send, frames) = mpsc::sync_channel(PAGES_WAITING);
    let pixels_max = limits.pixels_max;
    let rendered = thread::scope(|scope| {
        scope.spawn(move || {
            // A child that has seen enough closes its end.
            stdin.map(|mut stdin| stdin.write_all(bytes))
        });
        scope.spawn(move || {
            let mut from = BufReader::new(stdout?);
            loop {
                let frame = frames::read(&mut from, pixels_max);
                let is_last = !matches!(frame, Ok(Frame::Page(_)));
                if send.send(frame).is_err() || is_last {
                    return Some(());
                }
            }
        });
        let rendered = collect(&frames, wanted, limits.pdf_page_ms_max, go_on);
        if matches!(rendered, Err(Stopped::Died { .. })) {
            wait_for_end(&mut child);
        }
        // Both threads end with the pipes of a child that is gone, and with the channel.
        let _ = child.kill();
        drop(frames);
        rendered
    });
    let status = child.wait();
    rendered.map_err(|stopped| stopped.error(status, limits.pdf_page_ms_max))
}

/// A child that closed its pipes is about to end, in a way of its own that says why: it is not stopped before that.
fn wait_for_end(child: &mut Child) {
    let began = Instant::now();
    while began.elapsed() < END && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(END / 100);
    }
}

fn spawn(program: &RendererProgram, wanted: &Wanted, limits: &DecodeLimits) -> io::Result<Child> {
    let libraries = program.library_path.as_ref().map(|path| ("LD_LIBRARY_PATH", path));
    let pages: Vec<String> = wanted.pages.iter().map(usize::to_string).collect();
    let DecodeLimits { pixels_max, file_pixels_max, side_px_max, pages_max, .. } = *limits;
    Command::new(&program.path)
        .arg("render-pdf")
        .args(["--dpi", &wanted.dpi.to_string()])
        .args(["--pages", &pages.join(",")])
        .args(["--pixels-max", &pixels_max.to_string()])
        .args(["--file-pixels-max", &file_pixels_max.to_string()])
        .args(["--side-px-max", &side_px_max.to_string()])
        .args(["--pages-max", &pages_max.to_string()])
        .env_clear()
        .envs(libraries)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Why pages stopped coming.
enum Stopped {
    Fault(DecodeError),
    TooSlow {
        page: usize,
    },
    /// The child ended without a word about it.
    Died {
        page: usize,
    },
}

fn collect(
    frames: &mpsc::Receiver<io::Result<Frame>>,
    wanted: &Wanted,
    page_ms_max: u64,
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<NumberedPage>, Stopped> {
    let mut pages: Vec<NumberedPage> = Vec::new();
    let page_time = Duration::from_millis(page_ms_max);
    let mut began = Instant::now();
    loop {
        let done = pages.len();
        let page = wanted.pages.get(done).copied().unwrap_or(done + 1);
        match frames.recv_timeout(ASK) {
            Ok(Ok(Frame::Page(page))) => {
                pages.push(page);
                began = Instant::now();
            }
            Ok(Ok(Frame::End(Ok(())))) => return Ok(pages),
            Ok(Ok(Frame::End(Err(fault)))) => return Err(Stopped::Fault(fault.into())),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped::Died { page }),
            Err(RecvTimeoutError::Timeout) if !go_on() => {
                return Err(Stopped::Fault(DecodeError::GivenUp));
            }
            Err(RecvTimeoutError::Timeout) if began.elapsed() > page_time => {
                return Err(Stopped::TooSlow { page });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

impl Stopped {
    fn error(self, status: io::Result<ExitStatus>, ms_max: u64) -> DecodeError {
        match self {
            Self::Fault(error) => error,
            Self::TooSlow { page } => PdfError::TooSlow { page, ms_max }.into(),
            // Memory that it does not get aborts a program.
            Self::Died { page } if status.as_ref().is_ok_and(|status| status.code().is_none()) => {
                let bytes_max = limits::PDF_MEMORY_BYTES_MAX;
                PdfError::TooMuchMemory { page, bytes_max }.into()
            }
            Self::Died { .. } if status.as_ref().is_ok_and(|it| it.code() == Some(NOT_LOADED)) => {
                not_started("its libraries are not found".to_owned())
            }
            Self::Died { page } => failed(page, "the renderer ended before it was done"),
        }
    }
}

fn not_started(problem: String) -> DecodeError {
    tracing::error!(problem, "no PDF file can be rendered");
    PdfError::NotStarted { problem }.into()
}

fn failed(page: usize, problem: &str) -> DecodeError {
    PdfError::Failed { page, problem: problem.to_owned() }.into()
}

/// The child's side: reads a PDF file from stdin and writes frames to stdout. Takes less of the machine
/// from here on.
pub fn serve(wanted: &Wanted, limits: &DecodeLimits) -> io::Result<()> {
    // Where the machine or a container runs out of memory this is who goes, not the server with all its streams.
    // A kernel that does not know the file has another way.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let memory = Some(limits::PDF_MEMORY_BYTES_MAX);
    setrlimit(Resource::Data, Rlimit { current: memory, maximum: memory })?;
    // For the case that nobody is left to stop it.
    let seconds = limits::PDF_PAGE_MS_MAX / 1000 * limits.pages_max as u64;
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds) })?;
    let mut bytes = Vec::new();
    io::stdin().lock().take(limits.bytes_max as u64).read_to_end(&mut bytes)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let rendered = here::render(&bytes, wanted, limits, &mut |page| {
        // Nobody reads any more: no reason to go on.
        frames::write_page(&mut out, &page).map_err(|_| DecodeError::GivenUp)
    });
    frames::write_end(&mut out, &rendered.map_err(frames::Fault::from))
}
