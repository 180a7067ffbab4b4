//! Copies of a data folder: one moment of it by `yeoul backup`, and what is made of a folder that was
//! copied piece by piece.

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use support::{Customer, Folder, Mall, Placed, SOON, eventually_is, pause, run, text, yeoul};

/// Bytes of a page of a store.
const PAGE: usize = 4096;

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let place = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_all(&path, &place);
        } else {
            fs::copy(&path, &place).expect("copied");
        }
    }
}

/// Nobody but their owner reads what is in these folders, or sees what there is.
#[track_caller]
fn are_private(folders: &[&Path]) {
    let mut left: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    let mut files = 0;
    while let Some(path) = left.pop() {
        let meta = fs::metadata(&path).expect("there");
        let owners = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(meta.permissions().mode() & 0o777, owners, "{}", path.display());
        files += usize::from(meta.is_file());
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    assert!(files >= 10 * folders.len(), "{files}");
}

/// What an older program, or a careless copy, leaves behind.
fn open_to_all(folder: &Path) {
    let folder_mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, folder_mode).expect("ours");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        // Keys have always been private.
        if path.is_dir() {
            open_to_all(&path);
        } else if path.extension().is_none_or(|end| end != "key") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
        }
    }
}

#[test]
fn every_file_of_a_data_folder_of_a_backup_and_of_a_restored_one_is_its_owners_alone() {
    let Some((mall, who, product, placed)) = with_an_order() else { return };
    let place = Folder::new();
    let (copy, old) = (place.path().join("copy"), place.path().join("old"));
    are_private(&[&mall.folder().data()]);
    run(&["backup", text(&copy), "--data", text(&mall.folder().data())]).expect(0);
    are_private(&[&copy]);
    let folder = mall.kill();
    are_private(&[&folder.data()]);
    open_to_all(&folder.data());
    let mall = Mall::on(folder, &["--faults"]);
    mall.order_now(placed.id);
    let next = mall.order(&who, product, 1);
    mall.await_order(next.id, "OrderPlaced");
    are_private(&[&mall.folder().data()]);

    // Of a folder that is open to everybody, too; whatever the backup has become.
    let folder = mall.kill();
    open_to_all(&folder.data());
    run(&["backup", text(&old), "--data", text(&folder.data())]).expect(0);
    are_private(&[&old]);
    open_to_all(&copy);
    let new = Folder::new();
    run(&["restore", text(&copy), "--data", text(&new.data())]).expect(0);
    are_private(&[&new.data()]);
    let mall = Mall::on(new, &["--faults"]);
    mall.order_now(placed.id);
    are_private(&[&mall.folder().data()]);
}

/// A mall with an order that is done.
fn with_an_order() -> Option<(Mall, Customer, u64, Placed)> {
    let mall = Mall::owned(&["--faults"])?;
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let placed = mall.delivered(&who, product, 1);
    mall.settle();
    Some((mall, who, product, placed))
}

fn refused(data: &Path) -> String {
    let outcome =
        run(&["mall", "--data", text(data), "--listen", "127.0.0.1:0", "--json"]).expect(3);
    assert_eq!(outcome.stdout, "", "nothing is ready");
    assert!(outcome.last_word().contains("do not belong together"), "{}", outcome.stderr);
    outcome.stderr
}

#[test]
fn a_folder_copied_piece_by_piece_is_refused_or_mended_whole() {
    let Some((mall, who, product, _)) = with_an_order() else { return };
    let place = Folder::new();
    let early = place.path().join("early");
    let data = mall.folder().data();
    copy_all(&data, &early);
    // Each of the services publishes something between the two moments.
    let late = mall.delivered(&who, product, 1);
    let newcomer = mall.customer();
    mall.settle();
    for (piece, sound) in [
        ("order", false),
        ("product", false),
        ("delivery", false),
        ("account", false),
        ("log", true),
        ("mypage", true),
    ] {
        let folder = Folder::new();
        copy_all(&data, &folder.data());
        fs::remove_dir_all(folder.data().join(piece)).expect("removed");
        copy_all(&early.join(piece), &folder.data().join(piece));
        if !sound {
            let says = refused(&folder.data());
            assert!(says.contains(piece), "{piece}: {says}");
            continue;
        }
        let mended = Mall::on(folder, &["--faults"]);
        mended.at("admin", "GET", "/readyz").send().expect(200);
        assert_eq!(mended.order_now(late.id)["state"], "OrderPlaced", "{piece}");
        mended.await_row(&who, late.id, ("OrderPlaced", Some("DeliveryStarted")));
        let next = mended.order(&newcomer, product, 1);
        mended.await_order(next.id, "OrderPlaced");
        assert_eq!(mended.stock(product), 97, "{piece}");
    }
}

#[test]
fn pages_of_different_moments_are_refused_and_a_killed_folder_starts_wherever_it_is_copied() {
    let Some((mall, who, product, placed)) = with_an_order() else { return };
    let folder = mall.kill();
    let (whole, torn) = (Folder::new(), Folder::new());
    copy_all(&folder.data(), &whole.data());
    copy_all(&folder.data(), &torn.data());
    // The write-ahead file is folded in by whoever opens it next, over pages that are not its own.
    let file = torn.data().join("order/service.db");
    let _ = fs::remove_file(torn.data().join("order/service.db-wal"));
    let mut bytes = fs::read(&file).expect("a store");
    let page = 4096;
    bytes.resize(bytes.len().max(4 * page), 0);
    bytes[2 * page..].fill(0x5a);
    fs::write(&file, bytes).expect("written");
    let outcome =
        run(&["mall", "--data", text(&torn.data()), "--listen", "127.0.0.1:0", "--json"]).expect(3);
    assert_eq!(outcome.stdout, "");

    for folder in [whole, folder] {
        let mall = Mall::on(folder, &["--faults"]);
        assert_eq!(mall.order_now(placed.id)["state"], "OrderPlaced");
        let next = mall.order(&who, product, 1);
        mall.await_order(next.id, "OrderPlaced");
    }
}

#[test]
fn a_backup_is_restored_with_everything_and_no_number_is_given_twice() {
    let Some((mall, who, product, placed)) = with_an_order() else { return };
    let place = Folder::new();
    let (copy, data) = (place.path().join("copy"), mall.folder().data());
    fs::create_dir(&copy).expect("an empty folder");
    run(&["backup", text(&copy), "--data", text(&data)]).expect(0);
    run(&["backup", text(&copy), "--data", text(&data)]).expect(3);
    run(&["backup", text(&data.join("copy")), "--data", text(&data)]).expect(1);
    run(&["backup", text(&place.path().join("x")), "--data", text(&place.path().join("no"))])
        .expect(3);
    let left = fs::read_dir(place.path()).expect("a folder").count();
    assert_eq!(left, 1, "what was refused leaves nothing");
    let lost = mall.delivered(&who, product, 5);
    let (code, old) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    // While it rests, too.
    run(&["backup", text(&place.path().join("rested")), "--data", text(&old.data())]).expect(0);

    run(&["restore", text(&copy), "--data", text(&old.data())]).expect(3);
    let new = Folder::new();
    let printed = run(&["restore", text(&copy), "--data", text(&new.data())]).expect(0).stdout;
    assert!(printed.contains("sign-outs") && printed.contains("forgotten"), "{printed}");
    let mode = fs::metadata(new.data().join("account/signing.key")).expect("the key");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let mall = Mall::on(new, &["--faults"]);
    assert_eq!(mall.order_now(placed.id)["state"], "OrderPlaced");
    mall.at("order", "GET", &format!("/orders/{}", lost.id)).send().problem(404);
    assert_eq!(mall.stock(product), 99);
    let next = mall.delivered(&who, product, 1);
    assert!(next.id >= lost.id + 900_000, "{}", next.id);
    let delivery = mall.delivery_of(next.id).expect("a delivery");
    assert!(delivery["deliveryId"].as_u64().expect("an id") > 1_000_000, "{delivery}");
    assert!(mall.product(1, "cancel") > 1_000_000);
    mall.await_row(&who, next.id, ("OrderPlaced", Some("DeliveryStarted")));
    // And once more: a restored folder is one like any other.
    let again = place.path().join("again");
    run(&["backup", text(&again), "--data", text(&mall.folder().data())]).expect(0);
    let mall = Mall::on(mall.kill(), &["--faults"]);
    eventually_is("stock", &98, || mall.stock(product));
}

#[test]
fn a_backup_that_is_not_whole_is_restored_by_nobody() {
    let Some((mall, ..)) = with_an_order() else { return };
    let place = Folder::new();
    let copy = place.path().join("copy");
    run(&["backup", text(&copy), "--data", text(&mall.folder().data())]).expect(0);
    let new = place.path().join("new");
    let restore = |from: &Path| run(&["restore", text(from), "--data", text(&new)]);
    for (name, hurt) in [
        (
            "no description",
            (|copy: &Path| fs::remove_file(copy.join("backup.json"))) as fn(&Path) -> _,
        ),
        ("a file is missing", |copy| fs::remove_file(copy.join("order/service.db"))),
        ("a bit is another", |copy| {
            let file = copy.join("log/log.db");
            let mut bytes = fs::read(&file)?;
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(file, bytes)
        }),
        ("another mode", |copy| {
            let file = copy.join("backup.json");
            let described = fs::read_to_string(&file)?;
            let other = described.replacen("\"mode\": 384", "\"mode\": 388", 1);
            assert_ne!(described, other, "a key is its owner's alone");
            fs::write(file, other)
        }),
        ("a file is not described", |copy| {
            let file = copy.join("backup.json");
            let mut described: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
            described["files"].as_array_mut().expect("files").pop();
            fs::write(file, described.to_string())
        }),
        ("a bit of a key is another", |copy| {
            let file = copy.join("gateway/seal.key");
            let mut bytes = fs::read(&file)?;
            bytes[0] ^= 1;
            fs::write(file, bytes)
        }),
        ("cut short", |copy| {
            let file = copy.join("mypage/views.db");
            let bytes = fs::read(&file)?;
            fs::write(file, &bytes[..bytes.len() - 1])
        }),
    ] {
        let broken = place.path().join(name.replace(' ', "-"));
        copy_all(&copy, &broken);
        hurt(&broken).expect(name);
        restore(&broken).expect(3);
        assert!(!new.exists(), "{name}: something was written");
    }
    restore(&place.path().join("nosuch")).expect(3);
    let inside = copy.join("new");
    run(&["restore", text(&copy), "--data", text(&inside)]).expect(1);
    restore(&copy).expect(0);
    let taken = "not an absent or empty folder";
    let again = restore(&copy).expect(3);
    assert!(again.stderr.contains(taken), "{again:?}");
    let again = run(&["backup", text(&copy), "--data", text(&new)]).expect(3);
    assert!(again.stderr.contains(taken), "{again:?}");
}

/// Every page of a store that holds this text, by its place in the file.
fn pages_with(file: &Path, needle: &str) -> Vec<usize> {
    let bytes = fs::read(file).expect("a store");
    let pages = bytes.chunks(PAGE).enumerate();
    let holds = |page: &[u8]| page.windows(needle.len()).any(|it| it == needle.as_bytes());
    pages.filter(|(_, page)| holds(page)).map(|(at, _)| at * PAGE).collect()
}

/// What nothing reads at a start is looked at all the same where nobody vouches for the files, and before
/// a copy is called a backup.
#[test]
fn a_page_that_is_none_is_found_wherever_it_is() {
    const ADDRESS: &str = "Seoul, behind the seventh bridge";
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let order = serde_json::json!({ "productId": 1, "quantity": 1, "customerAddr": ADDRESS });
    mall.ordering(&mall.customer(), &order).send().expect(201);
    let (code, folder) = mall.stop_by("TERM", SOON);
    assert_eq!(code, 0);
    let pages = pages_with(&folder.data().join("order/service.db"), ADDRESS);
    assert!(!pages.is_empty(), "the order and its event are in the file");
    for at in pages {
        let torn = Folder::new();
        copy_all(&folder.data(), &torn.data());
        let file = torn.data().join("order/service.db");
        let mut bytes = fs::read(&file).expect("a store");
        // Of no kind that there is (https://sqlite.org/fileformat2.html#b_tree_pages).
        bytes[at] = 0x5a;
        fs::write(&file, bytes).expect("written");
        let copy = torn.path().join("copy");
        run(&["backup", text(&copy), "--data", text(&torn.data())]).expect(3);
        assert!(!copy.exists(), "page at {at}: nothing was kept of it");
        // As a copy of what was being written is: of files that nobody has noted.
        fs::remove_file(torn.data().join("stores.json")).expect("a note");
        let data = torn.data();
        let outcome =
            run(&["mall", "--data", text(&data), "--listen", "127.0.0.1:0", "--json"]).expect(3);
        assert_eq!(outcome.stdout, "", "page at {at}");
    }
}

#[test]
fn a_backup_is_no_data_folder() {
    let Some((mall, ..)) = with_an_order() else { return };
    let place = Folder::new();
    let copy = place.path().join("copy");
    run(&["backup", text(&copy), "--data", text(&mall.folder().data())]).expect(0);
    let start = ["mall", "--data", text(&copy), "--listen", "127.0.0.1:0", "--json"];
    let of_it = place.path().join("of-it");
    let skip = run(&["events", "skip", "product.order", "--data", text(&copy)]);
    for refused in [run(&start), run(&["backup", text(&of_it), "--data", text(&copy)]), skip] {
        assert_eq!((refused.code, refused.stdout.as_str()), (3, ""), "{refused:?}");
        assert!(refused.last_word().contains("yeoul restore"), "{}", refused.stderr);
    }
    assert!(!of_it.exists());
    run(&["restore", text(&copy), "--data", text(&place.data())]).expect(0);
}

#[test]
fn what_a_killed_backup_left_is_removed_by_the_next_one() {
    let Some((mall, ..)) = with_an_order() else { return };
    let place = Folder::new();
    let (copy, left) = (place.path().join("copy"), place.path().join(".copy.unfinished-1"));
    let held = place.path().join(".copy.unfinished-2");
    for folder in [&left, &held] {
        fs::create_dir_all(folder.join("order")).expect("a folder");
    }
    let lock = fs::File::open(&held).expect("a folder");
    lock.lock().expect("a lock");
    run(&["backup", text(&copy), "--data", text(&mall.folder().data())]).expect(0);
    assert!(!left.exists(), "nobody is at it any more");
    assert!(held.exists(), "somebody is at it");
}

#[test]
fn a_backup_broken_off_at_any_moment_is_whole_or_not_there() {
    let Some((mall, _, _, placed)) = with_an_order() else { return };
    let data = mall.folder().data();
    let mut whole = 0;
    for round in 0..12 {
        let place = Folder::new();
        let copy = place.path().join("copy");
        let mut child = yeoul()
            .args(["backup", text(&copy), "--data", text(&data)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        pause(Duration::from_millis(25 * round));
        // One that has ended already cannot be killed, and need not be.
        let _ = child.kill();
        child.wait().expect("it ends");
        let restored = run(&["restore", text(&copy), "--data", text(&place.data())]);
        assert_eq!(restored.code, if copy.exists() { 0 } else { 3 }, "{restored:?}");
        assert_eq!(place.data().exists(), copy.exists());
        whole += usize::from(copy.exists());
        if round == 11 && whole > 0 && place.data().exists() {
            let mall = Mall::on(place, &[]);
            assert_eq!(mall.order_now(placed.id)["state"], "OrderPlaced");
        }
    }
    // The mall goes on as if nothing had been: no lock of a dead process stays.
    mall.at("admin", "GET", "/readyz").send().expect(200);
    let (who, product) = (mall.customer(), mall.product(5, "cancel"));
    mall.delivered(&who, product, 1);
}
