# JSON to lines of path<TAB>text: objects' keys and lists' indexes joined by "/".
function blank() { while (substr(text, at, 1) ~ /[ \t\r\n]/) at++ }
function string(    out, c) {
    at++
    while ((c = substr(text, at, 1)) != "\"" && c != "") {
        if (c == "\\") {
            c = substr(text, ++at, 1)
            if (c == "n" || c == "t" || c == "r") c = " "
            else if (c == "u") { c = "?"; at += 4 }
        }
        out = out c
        at++
    }
    at++
    return out
}
function value(path,    key, index_, start) {
    blank()
    if (substr(text, at, 1) == "{") {
        at++; blank()
        while (substr(text, at, 1) == "\"") {
            key = string(); blank(); at++
            value(path == "" ? key : path "/" key); blank()
            if (substr(text, at, 1) == ",") { at++; blank() }
        }
        at++
    } else if (substr(text, at, 1) == "[") {
        at++; blank()
        for (index_ = 0; substr(text, at, 1) !~ /^(\]|)$/; index_++) {
            value(path "/" index_); blank()
            if (substr(text, at, 1) == ",") { at++; blank() }
        }
        at++
    } else if (substr(text, at, 1) == "\"") {
        print path "\t" string()
    } else {
        start = at
        while (substr(text, at, 1) ~ /[-+.0-9A-Za-z]/) at++
        if (at == start) { at = length(text) + 1; return }
        print path "\t" substr(text, start, at - start)
    }
}
{ text = text $0 "\n" }
END { at = 1; value("") }
