use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::*;
use crate::tests::mnist_dir;

const FILE: MnistFile = MnistFile::TestLabels;

/// What a mirror does with one request.
#[derive(Clone)]
enum Reply {
    /// Answers correctly from these bytes, ranges included.
    File(Vec<u8>),
    /// The same, but closes the connection after so many bytes.
    Cut(Vec<u8>, usize),
    /// Sends all of it whatever the range.
    IgnoresRange(Vec<u8>),
    Status(u16),
}

/// A mirror that answers its requests as scripted; gives its address and the `Range` header of each request.
fn mirror(script: Vec<Reply>) -> (String, Receiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    let (sender, ranges) = mpsc::channel();
    thread::spawn(move || {
        for reply in script {
            let (mut stream, _) = listener.accept().expect("a connection");
            let lines = BufReader::new(stream.try_clone().expect("a handle")).lines();
            let head: Vec<String> =
                lines.map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect();
            let range =
                head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let from: usize =
                range.as_deref().map_or(0, |range| range.trim_end_matches('-').parse().expect("a number"));
            // The test may be over by now.
            let _ = sender.send(range);
            let _ = stream.write_all(&answer(reply, from));
        }
    });
    (address, ranges)
}

fn answer(reply: Reply, from: usize) -> Vec<u8> {
    let (status, body, sent) = match reply {
        Reply::Status(status) => (format!("{status} No"), vec![], 0),
        Reply::IgnoresRange(body) => ("200 OK".to_owned(), body.clone(), body.len()),
        Reply::File(body) => part(&body, from, body.len() - from),
        Reply::Cut(body, sent) => part(&body, from, sent),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), &body[..sent]].concat()
}

fn part(body: &[u8], from: usize, sent: usize) -> (String, Vec<u8>, usize) {
    let status = match from {
        0 => "200 OK".to_owned(),
        from => format!("206 Partial\r\nContent-Range: bytes {from}-{}/{}", body.len() - 1, body.len()),
    };
    (status, body[from..].to_vec(), sent)
}

fn original() -> Vec<u8> {
    fs::read(FILE.locate(&mnist_dir()).expect("the checkout has MNIST")).expect("it can be read")
}

fn fetched(mirrors: &[String]) -> (tempfile::TempDir, Result<(), FetchError>) {
    let dir = tempfile::tempdir().expect("a folder");
    let mirrors: Vec<&str> = mirrors.iter().map(String::as_str).collect();
    let result = fetch(dir.path(), &[FILE], &mirrors, &mut |_, _| {});
    (dir, result)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("the folder can be read");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("text");
    let mut names: Vec<String> = entries.map(name).filter(|name| name != ".lock").collect();
    names.sort_unstable();
    names
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    let file = original();
    let script = vec![Reply::Cut(file.clone(), 1000), Reply::Cut(file.clone(), 2000), Reply::File(file.clone())];
    let (url, ranges) = mirror(script);
    let (dir, result) = fetched(&[url]);
    result.expect("the third answer is whole");
    let asked: Vec<_> = ranges.iter().collect();
    assert_eq!(asked, [None, Some("1000-".to_owned()), Some("3000-".to_owned())]);
    assert_eq!(names(dir.path()), ["t10k-labels-idx1-ubyte.gz"]);
    assert_eq!(fs::read(dir.path().join("t10k-labels-idx1-ubyte.gz")).expect("it is there"), file);
}

#[test]
fn a_part_left_by_another_process_is_continued_and_a_wrong_one_forgotten() {
    for (left, expected) in [(original()[..1500].to_vec(), vec![Some(1500)]), (vec![7; 1500], vec![Some(1500), None])] {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("t10k-labels-idx1-ubyte.gz.part"), left).expect("the folder can be written");
        let (url, ranges) = mirror(vec![Reply::File(original()); expected.len()]);
        fetch(dir.path(), &[FILE], &[&url], &mut |_, _| {}).expect("the mirror has the file");
        let asked: Vec<_> = ranges.iter().collect();
        assert_eq!(asked, expected.into_iter().map(|from| from.map(|from| format!("{from}-"))).collect::<Vec<_>>());
    }
}

#[test]
fn a_mirror_that_ignores_ranges_starts_over() {
    let (url, _) = mirror(vec![Reply::Cut(original(), 1000), Reply::IgnoresRange(original())]);
    fetched(&[url]).1.expect("the second answer is whole");
}

#[test]
fn the_second_mirror_is_used_when_the_first_fails() {
    let wrong = Reply::File(b"<html>not the file</html>".to_vec());
    let huge = Reply::File(vec![0; 1 << 20]);
    for failing in [Reply::Status(404), Reply::Status(503), wrong, huge, Reply::Cut(original(), 0)] {
        let (bad, _) = mirror(vec![failing.clone(), failing]);
        let (good, _) = mirror(vec![Reply::File(original())]);
        let (dir, result) = fetched(&[bad, good]);
        result.expect("the second mirror has the file");
        assert_eq!(names(dir.path()), ["t10k-labels-idx1-ubyte.gz"]);
    }
}

#[test]
fn wrong_contents_never_get_the_name_and_the_error_says_who_gave_what() {
    let (status, _) = mirror(vec![Reply::Status(403)]);
    let (wrong, _) = mirror(vec![Reply::File(b"<html></html>".to_vec())]);
    let (dir, result) = fetched(&[status.clone(), wrong]);
    let error = result.expect_err("no mirror has the file").to_string();
    assert!(error.contains(&format!("{status}t10k-labels-idx1-ubyte.gz: the answer has status 403")), "{error}");
    assert!(error.contains("no IDX file of bytes") && error.contains("by hand"), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn what_is_there_is_not_fetched_again_and_what_is_damaged_is() {
    let (url, ranges) = mirror(vec![Reply::File(original()), Reply::File(original())]);
    let (dir, result) = fetched(std::slice::from_ref(&url));
    result.expect("the mirror has the file");
    let mut events = Vec::new();
    fetch(dir.path(), &[FILE], &[], &mut |_, event| events.push(format!("{event:?}"))).expect("nothing is needed");
    assert_eq!(events, ["Present"]);
    fs::write(dir.path().join("t10k-labels-idx1-ubyte.gz"), b"damaged").expect("the folder can be written");
    fetch(dir.path(), &[FILE], &[&url], &mut |_, _| {}).expect("the mirror has the file");
    assert_eq!(ranges.iter().count(), 2);
}
