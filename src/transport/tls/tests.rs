//! Files as they are found: right ones, wrong ones, and ones that change.

use std::path::Path;

use expect_test::{Expect, expect};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        files.renew(|_| {});
        files
    }

    /// Writes a new certificate and its key.
    fn renew(&self, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        self.write("cert.pem", &certificate.pem());
        self.write("key.pem", &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn paths(&self) -> TlsFiles {
        let at = |name: &str| self.dir.path().join(name);
        TlsFiles { certificate: at("cert.pem"), key: at("key.pem"), clients: None }
    }

    fn mistake(&self, expected: &Expect) {
        let error = self.paths().check().unwrap_err().to_string();
        expected.assert_eq(&without(&error, self.dir.path()));
    }
}

fn without(text: &str, dir: &Path) -> String {
    text.replace(&dir.display().to_string(), "DIR")
}

#[test]
fn mistakes_name_their_file() {
    let files = Files::new();
    assert!(matches!(files.paths().check(), Ok(None)));
    let key = std::fs::read_to_string(files.dir.path().join("key.pem")).unwrap();

    files.renew(|params| params.not_after = date_time_ymd(2020, 1, 1));
    files.mistake(&expect!["the certificate in DIR/cert.pem has expired"]);
    files.renew(|_| {});
    files.write("key.pem", &key);
    files.mistake(&expect![
        "certificate DIR/cert.pem and key DIR/key.pem cannot be used together: keys may not be consistent: KeyMismatch"
    ]);
    files.write("key.pem", "no key");
    files.mistake(&expect!["DIR/key.pem holds no private key in PEM: no items found"]);
    files.write("cert.pem", &key);
    files.mistake(&expect!["DIR/cert.pem holds no certificate in PEM: no CERTIFICATE section"]);
    std::fs::remove_file(files.dir.path().join("cert.pem")).unwrap();
    files.mistake(&expect!["DIR/cert.pem cannot be read: No such file or directory (os error 2)"]);
}

#[test]
fn authorities_are_certificates() {
    let files = Files::new();
    let authorities = files.dir.path().join("ca.pem");
    files.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let clients = Some(ClientTrust { authorities, required: true });
    let error = TlsFiles { clients, ..files.paths() }.check().unwrap_err();
    assert!(matches!(error, TlsError::Authorities { .. }), "{error}");
}

#[test]
fn an_end_that_is_near_is_worth_a_word() {
    let files = Files::new();
    files.renew(|params| {
        let days = |days: u64| Duration::from_hours(days * 24);
        params.not_before = std::time::SystemTime::now().into();
        params.not_after = (std::time::SystemTime::now() + days(3)).into();
    });
    let warning = files.paths().check().unwrap().unwrap();
    assert!(warning.ends_with("cert.pem expires within 7 days"), "{warning}");

    // It is said again each day, and no longer once the certificate was renewed.
    let acceptor = Acceptor::load(files.paths(), false).unwrap();
    let (began, hours) = (Instant::now(), |hours| Duration::from_hours(hours));
    assert_eq!(acceptor.reminder(began + hours(23)), None);
    assert_eq!(acceptor.reminder(began + hours(25)).unwrap(), warning);
    assert_eq!(acceptor.reminder(began + hours(48)), None);
    assert_eq!(acceptor.reminder(began + hours(50)).unwrap(), warning);
    files.renew(|_| {});
    acceptor.reload();
    assert_eq!(acceptor.reminder(began + hours(100)), None);
}

#[test]
fn changed_files_count_and_broken_ones_do_not() {
    let files = Files::new();
    let acceptor = Acceptor::load(files.paths(), false).unwrap();
    let first = acceptor.config();
    acceptor.reload();
    assert!(Arc::ptr_eq(&first, &acceptor.config()), "nothing changed");
    let key = std::fs::read_to_string(files.dir.path().join("key.pem")).unwrap();
    files.renew(|_| {});
    let renewed = std::fs::read_to_string(files.dir.path().join("key.pem")).unwrap();
    files.write("key.pem", &key);
    acceptor.reload();
    assert!(Arc::ptr_eq(&first, &acceptor.config()), "half of the files are there");
    files.write("key.pem", &renewed);
    acceptor.reload();
    assert!(!Arc::ptr_eq(&first, &acceptor.config()));
}

#[test]
fn nothing_that_is_printed_holds_the_key() {
    let files = Files::new();
    let acceptor = Acceptor::load(files.paths(), false).unwrap();
    let key = std::fs::read_to_string(files.dir.path().join("key.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let bytes = format!("{:?}", &key.as_bytes()[30..60]);
    let text = format!("{acceptor:?}");
    assert!(!text.contains(secret) && !text.contains(&bytes[1..bytes.len() - 1]), "{text}");
}
