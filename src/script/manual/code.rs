//! Scripts as HTML: words in colours, functions of the manual as links.

use crate::plot::escape;
use crate::script::lex::{Kind, lex};

/// A script in colours; `link` gives the page of what a word with or without a prefix names, `.name` for a method.
pub fn highlighted(script: &str, link: &dyn Fn(&str) -> Option<String>) -> String {
    let tokens = lex(script);
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text(script));
    let mut html = String::new();
    let mut i = 0;
    while i < tokens.len() {
        let is_prefix = tokens[i].kind == Kind::Name && text(i + 1) == "::";
        let length = if is_prefix && tokens.get(i + 2).is_some_and(|name| name.kind == Kind::Name) { 3 } else { 1 };
        let words: String = (i..i + length).map(text).collect();
        let is_method = i > 0 && matches!(text(i - 1), "." | "?.");
        html.push_str(&drawn(&words, tokens[i].kind, is_method, link));
        i += length;
    }
    html
}

fn drawn(words: &str, kind: Kind, is_method: bool, link: &dyn Fn(&str) -> Option<String>) -> String {
    let text = escape(words);
    let class = match kind {
        Kind::Comment => "comment",
        Kind::Text => "text",
        Kind::Number => "number",
        Kind::Keyword => "keyword",
        Kind::Name => {
            let target = if is_method { link(&format!(".{words}")) } else { link(words) };
            return target.map_or(text.clone(), |target| format!("<a href=\"{target}\">{text}</a>"));
        }
        _ => return text,
    };
    format!("<span class=\"{class}\">{text}</span>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_and_links_are_told_apart() {
        let link = |name: &str| (name == "plot::fsc" || name == ".save").then(|| format!("{name}.html"));
        let html = highlighted("let x = plot::fsc(#{ a: 1.5 }).save(\"a<b\"); // \"no\"\nfor i in 0..3 {}", &link);
        for part in [
            "<span class=\"keyword\">let</span>",
            "<a href=\"plot::fsc.html\">plot::fsc</a>",
            "<a href=\".save.html\">save</a>",
            "<span class=\"number\">1.5</span>",
            "<span class=\"text\">&quot;a&lt;b&quot;</span>",
            "<span class=\"comment\">// &quot;no&quot;</span>",
            "<span class=\"number\">0</span>..<span class=\"number\">3</span>",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }
}
