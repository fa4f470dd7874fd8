//! A report is one page that works without a network, in a browser: `chromium` (or another of its family) on the PATH.

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Run, pedesis, run_script};
use serde_json::Value;
use tempfile::TempDir;

/// Three atoms 5 Å along x, y and z, the last to be read from a file.
const ATOMS: &str = "3\nthree\nFe 5 0 0\nPt 0 5 0\nPb 0 0 5\n";

const SCRIPT: &str = r#"
    let a = args(#{ seed: 7, note: "<b>bold</b>" });
    let three = store::structure("three.xyz");
    print(path::exists("nothing.xyz"));
    let truth = structure::bundled("fept_1.5nm");
    let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
    let t = table::from_rows(["name", "rmsd_pm"], [["<i>low</i>", 2.125], ["high", ()]]);
    let height = atoms.structure().positions().map(|p| p[2]);
    height[0] = ();
    let evil = `<script>document.title = "owned"</script>`;
    let page = plot::report([
        #{ title: evil, verdict: "doubtful", text: "One.\n\n* " + evil, values: [["second", 2], ["first_A", [1.5, 2]], ["map", #{ Fe: 1 }]] },
        #{ title: `"><img src=x onerror="document.title='owned'">`, atoms: three, per_atom: #{ "</script><script>document.title='owned'": [1, 2, 3] } },
        #{ title: "Atoms", atoms: atoms, per_atom: #{ height_A: height } },
        #{ table: t, figure: [plot::spheres(three), plot::coverage(orient::random(50, 1))] },
        t,
    ], #{ title: "A & B <script>document.title='owned'</script>" });
    page.save("report.html");
    print(page);
"#;

/// A folder with the page in it, and the page.
fn page() -> (TempDir, String) {
    let folder = common::folder_with("script.rhai", SCRIPT);
    fs::write(folder.path().join("three.xyz"), ATOMS).unwrap();
    let run: Run = pedesis(folder.path()).args(["run", "script.rhai", "--threads", "2"]).output().unwrap().into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("5 sections, 2 figures, 2 tables, 2 views of atoms"), "{}", run.stdout);
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    (folder, page)
}

#[test]
fn a_page_is_one_file_with_everything_escaped_and_its_origin() {
    let (_folder, page) = page();
    for word in ["http:", "https:", "<b>bold", "<i>low", "<script>document", "<img src=x"] {
        assert!(!page.contains(word), "{word} is in the page");
    }
    let sources: Vec<&str> = page.split(" src=\"").skip(1).map(|rest| &rest[..22]).collect();
    assert_eq!(sources, ["data:image/png;base64,"; 2]);
    for part in [
        "<th scope=\"col\" class=\"number\">rmsd [pm]</th>",
        "<td>&lt;i&gt;low&lt;/i&gt;</td><td class=\"number\">2.125</td>",
        "<tr><th scope=\"row\">second</th><td>2</td></tr>\n<tr><th scope=\"row\">first [Å]</th><td>1.5, 2</td></tr>",
        "<td>Fe 1</td>",
        "<div class=\"verdict doubtful\">",
        "<tr><th scope=\"row\">seed</th><td>7</td></tr>",
        "<tr><th scope=\"row\">threads</th><td>2</td></tr>",
        "<tr><th scope=\"row\">files read</th><td><code>three.xyz</code></td></tr>",
        "<tr><th scope=\"row\">note</th><td><code>&lt;b&gt;bold&lt;/b&gt;</code></td></tr>",
        "<h3><code>trace</code></h3>",
        "let three = store::structure(&quot;three.xyz&quot;);",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
}

#[test]
fn what_cannot_be_shown_is_said() {
    let atoms = r#"structure::bundled("fept_1.5nm")"#;
    for (script, words) in [
        ("plot::report([])".to_owned(), "a report needs a section"),
        (
            "plot::report([1])".to_owned(),
            "section 0 of the report: it is a map, a Figure, a Table, a Model or a Structure, not 1",
        ),
        ("plot::report([#{ figures: 1 }])".to_owned(), "did you mean \"figure\"? (options: title, verdict,"),
        ("plot::report([#{ figure: 1 }])".to_owned(), "figure is a Figure, not 1"),
        (
            "plot::report([#{ verdict: \"good\" }])".to_owned(),
            "\"converged\", \"doubtful\" or \"failed\", not \"good\"",
        ),
        (format!("plot::report([#{{ atoms: {atoms}, per_atom: #{{ b: [1] }} }}])"), "\"b\" has 1 values for 124 atoms"),
        (
            format!("plot::report([#{{ atoms: {atoms}, per_atom: #{{ b: [\"x\"] }} }}])"),
            "expected a number or (), not the string \"x\"",
        ),
        ("plot::report([#{ per_atom: #{ b: [1] } }])".to_owned(), "per_atom says nothing without atoms"),
        (format!("plot::report([{atoms}]).save(\"page.txt\")"), "page.txt does not end in .html"),
    ] {
        let run = run_script(&script, &[]);
        assert!(run.status == Some(1) && run.stderr.contains(words), "{script}: {}", run.stderr);
    }
}

/// Without a screen there is no next picture of it to wait for; the page draws soon all the same.
const NO_SCREEN: &str = "window.requestAnimationFrame = draw => setTimeout(draw, 1);";

/// Uses the page as a reader would, and leaves what came of it as JSON in the page. Atoms are found by what the page says of them under the mouse.
const PROBE: &str = r##"
const report = { violations: 0, errors: [] };
document.addEventListener("securitypolicyviolation", () => report.violations++);
window.addEventListener("error", event => report.errors.push(event.message));
const wait = () => new Promise(done => setTimeout(done, 50));
function reader(root) {
  const canvas = root.querySelector(".view"), tip = root.querySelector(".tip");
  const box = () => canvas.getBoundingClientRect();
  const fire = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind, { bubbles: true, pointerId: 1, clientX: box().left + x, clientY: box().top + y }));
  return {
    canvas, tip,
    picture: () => canvas.toDataURL(),
    async drag(dx, dy) {
      fire("pointerdown", 200, 200);
      fire("pointermove", 200 + dx / 2, 200 + dy / 2);
      fire("pointermove", 200 + dx, 200 + dy);
      fire("pointerup", 200 + dx, 200 + dy);
      await wait();
    },
    async press(selector) { root.querySelector(selector).click(); await wait(); },
    async choose(value) {
      const select = root.querySelector(".colour");
      select.value = value;
      select.dispatchEvent(new Event("change"));
      await wait();
    },
    async key(name) { canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true })); await wait(); },
    async wheel() { canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, bubbles: true, cancelable: true })); await wait(); },
    async back() { canvas.dispatchEvent(new MouseEvent("dblclick", { bubbles: true })); await wait(); },
    // where atoms are: element to mean place from the middle, up is positive [pixels]
    places() {
      const found = {};
      for (let y = 2; y < box().height; y += 8) for (let x = 2; x < box().width; x += 8) {
        fire("pointermove", x, y);
        if (tip.hidden) continue;
        const place = found[tip.textContent.split(",")[0]] ??= [0, 0, 0];
        place[0] += x - box().width / 2;
        place[1] += box().height / 2 - y;
        place[2]++;
      }
      for (const name in found) found[name] = found[name].slice(0, 2).map(sum => sum / found[name][2]);
      return found;
    },
    ink() {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] < 700) count++;
      return count / (data.length / 4);
    },
  };
}
(async () => {
  await wait();
  const [three, model] = [...document.querySelectorAll(".atoms")].map(reader);
  await three.press("[data-axis=z]");
  report.along_z = three.places();
  await three.drag(60, 0);
  report.dragged_right = three.places();
  await three.press("[data-axis=x]");
  report.along_x = three.places();

  const first = model.picture();
  report.ink = model.ink();
  const changes = async act => { const before = model.picture(); await act(); return model.picture() !== before; };
  report.drag = await changes(() => model.drag(80, 30));
  report.arrow = await changes(() => model.key("ArrowUp"));
  report.wheel = await changes(() => model.wheel());
  await model.back();
  report.reset = model.picture() === first;
  report.hide = await changes(() => model.press("[data-element=Pt]"));
  await model.press("[data-element=Pt]");
  const select = document.querySelectorAll(".colour")[1];
  report.columns = [...select.options].map(option => option.textContent);
  report.colour = await changes(() => model.choose(String(select.options.length - 2)));
  const bar = document.querySelectorAll(".bar")[1];
  report.bar = [bar.hidden, bar.querySelector(".low").value, bar.querySelector(".high").value, bar.querySelector(".unit").textContent];
  await model.choose("-1");
  report.same = model.picture() === first;
  report.requests = performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:"));
  report.title = document.title;
  report.images = [...document.images].every(image => image.naturalWidth > 500);
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(report);
  document.body.append(out);
})();
"##;

fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// What the page of a file has become after its scripts have run, and what the browser had to complain of.
fn opened(browser: &Path, file: &Path) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=30000", "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said: Vec<String> =
        text(&output.stderr).lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (text(&output.stdout), said.join("\n"))
}

#[test]
fn atoms_turn_and_change_colours_in_a_browser_without_a_network() {
    let Some(browser) = browser() else {
        eprintln!("no chromium on the PATH: the page was not opened");
        return;
    };
    let (folder, page) = page();
    let mark = page.split("<script nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let script = |text: &str| format!("<script nonce=\"{mark}\">{text}</script>");
    let probed =
        page.replacen("<style", &(script(NO_SCREEN) + "<style"), 1).replace("</body>", &(script(PROBE) + "</body>"));
    let file = folder.path().join("probed.html");
    fs::write(&file, probed).unwrap();
    let (dom, complaints) = opened(&browser, &file);
    assert_eq!(complaints, "");
    let json = dom.split("<pre id=\"probe\">").nth(1).unwrap_or_else(|| panic!("the probe did not end: {dom}"));
    let json = json.split("</pre>").next().unwrap().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let report: Value = serde_json::from_str(&json).unwrap();

    assert_eq!(report["violations"], 0, "{report}");
    assert_eq!(report["errors"], Value::Array(Vec::new()));
    assert_eq!(report["requests"], Value::Array(Vec::new()));
    assert_eq!(report["title"], "A & B <script>document.title='owned'</script>");
    for name in ["drag", "arrow", "wheel", "reset", "hide", "colour", "same", "images"] {
        assert_eq!(report[name], true, "{name}: {report}");
    }
    let ink = report["ink"].as_f64().unwrap();
    assert!((0.1..0.7).contains(&ink), "{ink} of the canvas is drawn on");

    let at = |view: &str, element: &str| {
        let place = &report[view][element];
        [0, 1].map(|axis| place[axis].as_f64().unwrap_or_else(|| panic!("no {element} {view}: {report}")))
    };
    // the middle of the three is at (5, 5, 5) / 3 Å: seen along z, Fe is at (10, −5) / 3 from it, Pt at (−5, 10) / 3, Pb at (−5, −5) / 3
    let [fe, pt, pb] = ["Fe", "Pt", "Pb"].map(|element| at("along_z", element));
    assert!(
        fe[0] > 50.0 && fe[1] < -25.0 && pt[0] < -25.0 && pt[1] > 50.0 && pb[0] < -25.0 && pb[1] < -25.0,
        "{report}"
    );
    assert!((fe[0] / fe[1] + 2.0).abs() < 0.1 && (pt[0] / fe[1] - 1.0).abs() < 0.1, "{report}");
    // a hand that moves to the right takes along what is in front, and what is behind moves to the left
    assert!(at("dragged_right", "Pb")[0] > pb[0] + 20.0 && at("dragged_right", "Pt")[0] < pt[0] - 5.0, "{report}");
    // seen along x, y is to the right and z is up
    assert!(at("along_x", "Pt")[0] > 50.0 && at("along_x", "Pb")[1] > 50.0, "{report}");

    let columns: Vec<&str> = report["columns"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(
        columns,
        ["element", "probability", "intensity", "width [Å]", "radius [Å]", "fit residual", "height [Å]"]
    );
    let bar = report["bar"].as_array().unwrap();
    let end = |i: usize| bar[i].as_str().unwrap().parse::<f64>().unwrap();
    // heights are on both sides of zero, which is in the middle of the colours
    assert!(bar[0] == false && end(1) < -6.0 && (end(1) + end(2)).abs() < 1e-9, "{bar:?}");
    assert_eq!(bar[3], "Å (grey: none)");
}
