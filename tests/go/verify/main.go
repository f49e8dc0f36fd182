// Command verify checks a cellwright log, or an export of one (directory or .zip).
//
// It is written from FORMAT.md alone, on the notes and trees of Go's own module
// checksum database (golang.org/x/mod/sumdb/note and tlog), and shares nothing
// with the programs it is compared with.
//
//	verify [-open] [-device VKEY] PATH...
//
// For every path it prints one line of JSON: ok, records, root, sealed, problems.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	noteMax     = 16 << 10
	segmentMax  = 32 << 20
	fileMax     = 64 << 20
	tileHeight  = 8
	problemsMax = 100
	depthMax    = 32
	purposeMax  = 200
	integerMax  = 1<<53 - 1
)

var (
	payloadMax  = map[string]int{"1": 65536, "2": 65535}
	segmentName = regexp.MustCompile(`^segments/[0-9]{8}\.seg$`)
	chunkName   = regexp.MustCompile(`^history/[0-9]{8}\.chunk$`)
	escapedFFFD = regexp.MustCompile(`(?i)\\ufffd`)
	hexDigest   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	ofAnExport  = regexp.MustCompile(`^(MANIFEST|README\.txt|FORMAT\.md|verify\.py|check_proof\.py` +
		`|report\.pdf|checkpoint|vkey|keys/(device\.vkey|key\.cert)` +
		`|evidence/(witnessed|checkpoint\.tsr)|history/history-[A-Za-z0-9._-]{1,80}\.parquet|tile/.+)$`)
	folderOfAnExport = regexp.MustCompile(`^(log|keys|evidence|history|tile(/.+)?)$`)
	errEnough        = errors.New("there is more; the check stopped here")
)

type problem struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

type result struct {
	OK       bool      `json:"ok"`
	Records  int64     `json:"records"`
	Root     string    `json:"root"`
	Sealed   bool      `json:"sealed"`
	Device   string    `json:"device"`
	Problems []problem `json:"problems"`
}

// checkpoint is a signed checkpoint that is well formed; signed says whether its signature holds.
type checkpoint struct {
	raw      []byte
	origin   string
	size     int64
	root     tlog.Hash
	previous string
	sealed   bool
	signed   error
}

// hashes is the tree: every stored hash, in the order of the tlog package.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(h)) {
			return nil, fmt.Errorf("hash %d is not in the tree", index)
		}
		found[i] = h[index]
	}
	return found, nil
}

type checker struct {
	root, log fs.FS // the export (nil for a log directory) and the log directory in it
	version   string
	kind      string
	device    string
	verifier  note.Verifier
	tree      hashes
	roots     map[int64]tlog.Hash // by size, at the sizes somebody asks for
	records   int64
	payloads  [][]byte // only for an export, to compare its bundles
	last      *checkpoint
	entries   []*checkpoint
	known     map[string]bool
	tables    map[string]bool // name and digest of what records store
	whole     bool
	problems  []problem
}

func (c *checker) add(where, format string, args ...any) {
	c.problems = append(c.problems, problem{where, fmt.Sprintf(format, args...)})
	if len(c.problems) >= problemsMax {
		panic(errEnough)
	}
}

func main() {
	open := flag.Bool("open", false, "a batch log may be unfinished")
	device := flag.String("device", "", "verifier key of the device that is trusted")
	flag.Parse()
	code := 0
	out := json.NewEncoder(os.Stdout)
	for _, name := range flag.Args() {
		found := verify(name, *open, *device)
		if !found.OK {
			code = 3
		}
		out.Encode(found)
	}
	os.Exit(code)
}

func verify(name string, open bool, device string) (found result) {
	c := &checker{known: map[string]bool{}, tables: map[string]bool{}, roots: map[int64]tlog.Hash{}}
	defer func() {
		if caught := recover(); caught != nil {
			if caught != errEnough {
				panic(caught)
			}
			c.problems = append(c.problems, problem{name, errEnough.Error()})
		}
		root, _ := tlog.TreeHash(c.records, c.tree)
		if c.records == 0 {
			root = sha256.Sum256(nil)
		}
		if c.problems == nil {
			c.problems = []problem{}
		}
		found = result{len(c.problems) == 0, c.records, hex.EncodeToString(root[:]),
			c.last != nil && c.last.sealed, c.device, c.problems}
	}()
	info, err := os.Stat(name)
	if err != nil {
		c.add(name, "%v", err)
		return
	}
	base := os.DirFS(name)
	if !info.IsDir() {
		archive, err := zip.OpenReader(name)
		if err != nil {
			c.add(name, "%v", err)
			return
		}
		defer archive.Close()
		seen := map[string]bool{}
		for _, file := range archive.File {
			plain := strings.TrimSuffix(file.Name, "/")
			if seen[file.Name] || !fs.ValidPath(plain) || strings.ContainsAny(plain, "\\\x00") {
				c.add(file.Name, "is in the archive twice, or has no plain name")
			}
			seen[file.Name] = true
		}
		base = archive
		if tops, err := fs.ReadDir(base, "."); err == nil && len(tops) == 1 && tops[0].IsDir() {
			if _, err := fs.Stat(base, path.Join(tops[0].Name(), "vkey")); err == nil {
				base, _ = fs.Sub(base, tops[0].Name())
			}
		}
	}
	c.log = base
	if _, err := fs.Stat(base, "log"); err == nil {
		c.root = base
		c.log, _ = fs.Sub(base, "log")
	}
	c.check(device)
	if c.kind == "" && len(c.problems) == 0 {
		c.add("record 0", "it does not open a log")
	}
	if c.kind == "batch" && !open && (c.last == nil || !c.last.sealed) {
		c.add("checkpoint", "the log is not sealed")
	}
	return
}

// check is FORMAT.md, section Verify, points 1 to 6.
func (c *checker) check(device string) {
	payload := c.firstPayload()
	opening := object(payload)
	c.version = string(opening["v"])
	if payload == nil || opening == nil || opening["v"] == nil {
		c.version = "2" // what is wrong is said below
	}
	if payloadMax[c.version] == 0 {
		c.add("record 0", "the log has format %s; this program reads 1 and 2", c.version)
		return
	}
	if !c.checkKeys(payload, device) {
		return
	}
	c.readCheckpoints()
	c.whole = c.readRecords()
	c.checkChain()
	if c.version == "2" && c.whole {
		c.checkTiles()
	}
	c.checkInventory()
	if c.root != nil {
		c.checkExport()
	}
}

// read gives a plain file of at most max bytes.
func read(files fs.FS, name string, max int64) ([]byte, error) {
	info, err := fs.Lstat(files, name) // a link is no plain file
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a plain file")
	}
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, max+1))
	if err == nil && int64(len(data)) > max {
		err = errors.New("it is too long")
	}
	return data, err
}

func (c *checker) firstPayload() []byte {
	info, err := fs.Lstat(c.log, "segments/00000000.seg")
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := c.log.Open("segments/00000000.seg")
	if err != nil {
		return nil
	}
	defer file.Close()
	head := make([]byte, 16)
	if _, err := io.ReadFull(file, head); err != nil {
		return nil
	}
	length := binary.LittleEndian.Uint32(head)
	payload, err := io.ReadAll(io.LimitReader(file, min(int64(length), 1<<20)))
	crc := crc32.Update(crc32.ChecksumIEEE(head[8:]), crc32.IEEETable, payload)
	if err != nil || crc != binary.LittleEndian.Uint32(head[4:]) ||
		binary.LittleEndian.Uint64(head[8:]) != 0 {
		return nil
	}
	return payload
}

// object is a JSON object by its exact field names, or nil.
func object(data []byte) map[string]json.RawMessage {
	var found map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &found) != nil || !oneWay(data) {
		return nil
	}
	return found
}

// oneWay says whether there is one way to read a record: no name twice in an object, no number but
// an integer below 2^53, and not too deep.
func oneWay(data []byte) bool {
	tokens := json.NewDecoder(bytes.NewReader(data))
	tokens.UseNumber()
	return oneValue(tokens, 0) == nil
}

func oneValue(tokens *json.Decoder, depth int) error {
	token, err := tokens.Token()
	if err != nil || depth >= depthMax {
		return errors.Join(err, errors.New("too deep"))
	}
	switch found := token.(type) {
	case json.Number:
		n, err := strconv.ParseInt(string(found), 10, 64)
		if err != nil || n > integerMax || n < -integerMax || len(found) > 17 {
			return errors.New("no integer below 2^53")
		}
	case json.Delim:
		names := map[any]bool{}
		for tokens.More() {
			if found == '{' {
				name, err := tokens.Token()
				if err != nil || names[name] {
					return errors.New("a name stands twice")
				}
				names[name] = true
			}
			if err := oneValue(tokens, depth+1); err != nil {
				return err
			}
		}
		_, err = tokens.Token()
	}
	return err
}

// value is any JSON, or nil.
func value(data json.RawMessage) (found any) {
	json.Unmarshal(data, &found)
	return
}

// text is a JSON string, or empty.
func text(data json.RawMessage) string {
	var found string
	if json.Unmarshal(data, &found) != nil {
		return ""
	}
	return found
}

// wholeText is text, but empty where half of a surrogate pair would be read as U+FFFD.
func wholeText(data json.RawMessage) string {
	found, plain := text(data), strings.ReplaceAll(string(data), `\\`, "")
	written := strings.Count(plain, "\uFFFD") + len(escapedFFFD.FindAllString(plain, -1))
	if strings.Count(found, "\uFFFD") != written {
		return ""
	}
	return found
}

// open gives the text of a note with one signature, by v, in its one written form.
func openNote(raw []byte, v note.Verifier) (string, error) {
	if len(raw) > noteMax {
		return "", errors.New("the note is too long")
	}
	found, err := note.Open(raw, note.VerifierList(v))
	if err != nil {
		return "", err
	}
	if len(found.Sigs) != 1 || len(found.UnverifiedSigs) != 0 {
		return "", errors.New("the note has not one signature")
	}
	if err := oneForm(found.Sigs[0].Base64, 68); err != nil {
		return "", err
	}
	line := fmt.Sprintf("\n— %s %s\n", found.Sigs[0].Name, found.Sigs[0].Base64)
	if found.Text+line != string(raw) {
		return "", errors.New("the note is not in its one written form")
	}
	return found.Text, nil
}

func oneForm(encoded string, size int) error {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(data) != size || base64.StdEncoding.EncodeToString(data) != encoded {
		return errors.New("there is base64 that is not in its one written form")
	}
	return nil
}

func (c *checker) checkKeys(payload []byte, device string) bool {
	raw, err := read(c.log, "vkey", noteMax)
	if err != nil {
		c.add("vkey", "%v", err)
		return false
	}
	vkey, newline := strings.CutSuffix(string(raw), "\n")
	c.verifier, err = newVerifier(vkey)
	if err != nil || !newline {
		c.add("vkey", "it is not one verifier key and a newline: %v", err)
		return false
	}
	raw, err = read(c.log, "key.cert", noteMax)
	if err != nil {
		c.add("key.cert", "%v", err)
		return false
	}
	body, _, _ := strings.Cut(string(raw), "\n\n")
	certified, err := parseCertificate(body)
	if err == nil && certified.log != vkey {
		err = errors.New("it certifies another key than the one in vkey")
	}
	if err != nil {
		c.add("key.cert", "%v", err)
		return false
	}
	c.device = certified.device
	signer, err := newVerifier(c.device)
	if err == nil {
		_, err = openNote(raw, signer)
	}
	if err != nil {
		c.add("key.cert", "%v", err)
		return false
	}
	_, _, encoded := cutKey(vkey)
	public, _ := base64.StdEncoding.DecodeString(encoded)
	sum := sha256.Sum256(public[1:])
	if c.verifier.Name() != "cellwright/log/"+hex.EncodeToString(sum[:8]) {
		c.add("vkey", "the name is not that of the key")
	}
	if device != "" && device != c.device {
		c.add("key.cert", "another device certified the key: %s", c.device)
	}
	if certified.version != c.version {
		c.add("key.cert", "it is of version %s, the log of format %s", certified.version, c.version)
	}
	if payload == nil {
		return true // the frames say why
	}
	opening := object(payload)
	data := object(opening["data"])
	c.kind = text(data["kind"])
	if certified.version == "2" &&
		(certified.kind != c.kind || certified.purpose != wholeText(data["purpose"])) {
		c.add("key.cert", "it certifies the key for another log: %s %q", certified.kind, certified.purpose)
	}
	kinds := c.kind == "batch" || c.kind == "station" || c.kind == "qualification"
	if text(opening["event"]) != "log.opened" || !kinds || text(data["vkey"]) != vkey ||
		text(data["key"]) != c.device || string(opening["v"]) != c.version {
		c.add("record 0", "it does not open the log of these keys")
	}
	return true
}

// certificate is what a device says of a log's key; kind and purpose are empty in version 1.
type certificate struct {
	version, log, device, kind, purpose string
}

// parseCertificate reads the text of a certificate, without the newline at its end.
func parseCertificate(body string) (found certificate, err error) {
	lines := strings.Split(body, "\n")
	var version bool
	found.version, version = strings.CutPrefix(lines[0], "cellwright key certificate v")
	names := map[string]string{"1": "log device", "2": "log device kind purpose"}[found.version]
	fields := strings.Fields(names)
	if !version || names == "" || len(lines) != 1+len(fields) {
		return found, errors.New("it is not a certificate of this format")
	}
	values := []*string{&found.log, &found.device, &found.kind, &found.purpose}
	for i, name := range fields {
		value, named := strings.CutPrefix(lines[1+i], name+" ")
		if !named || value == "" {
			return found, fmt.Errorf("it does not name the %s", name)
		}
		*values[i] = value
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.ContainsFunc(found.kind+found.purpose, odd) ||
		utf8.RuneCountInString(found.purpose) > purposeMax {
		return found, errors.New("its kind or purpose is not one short line")
	}
	return found, nil
}

func cutKey(vkey string) (name, hash, key string) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, key, _ = strings.Cut(rest, "+")
	return
}

func newVerifier(vkey string) (note.Verifier, error) {
	name, hash, key := cutKey(vkey)
	if err := oneForm(key, 33); err != nil {
		return nil, err
	}
	found, err := note.NewVerifier(vkey)
	if err == nil && fmt.Sprintf("%s+%08x+%s", name, found.KeyHash(), key) != name+"+"+hash+"+"+key {
		err = errors.New("the verifier key is not in its one written form")
	}
	return found, err
}

// parse reads a checkpoint; its signature is looked at, its place in the log is not.
func (c *checker) parse(raw []byte) (*checkpoint, error) {
	found := &checkpoint{raw: raw}
	body, err := openNote(raw, c.verifier)
	if err != nil {
		found.signed = err
		cut := strings.LastIndex(string(raw), "\n\n")
		if cut < 0 {
			return nil, err
		}
		body = string(raw[:cut+1])
	}
	lines := strings.Split(body, "\n")
	if len(lines) == 6 && lines[4] == "sealed" {
		found.sealed = true
		lines = append(lines[:4:4], "")
	}
	if len(lines) != 5 || lines[4] != "" || !strings.HasPrefix(lines[3], "previous ") {
		return nil, errors.New("it is not a checkpoint")
	}
	found.origin, found.previous = lines[0], strings.TrimPrefix(lines[3], "previous ")
	found.size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(found.size, 10) != lines[1] || len(lines[1]) > 18 ||
		found.size < 1 {
		return nil, errors.New("its size is not a number")
	}
	if found.previous != "none" {
		if err := oneForm(found.previous, 32); err != nil {
			return nil, err
		}
	}
	if err := oneForm(lines[2], 32); err != nil {
		return nil, err
	}
	found.root, err = tlog.ParseHash(lines[2])
	return found, err
}

// readCheckpoints reads `checkpoint` and `checkpoints` as far as they are well formed.
func (c *checker) readCheckpoints() {
	raw, err := read(c.log, "checkpoint", noteMax)
	if err == nil {
		c.last, err = c.parse(raw)
	}
	if err == nil {
		err = c.last.signed
	}
	if err != nil {
		c.add("checkpoint", "%v", err)
	}
	raw, err = read(c.log, "checkpoints", 1<<30)
	if err != nil {
		c.add("checkpoints", "%v", err)
		return
	}
	for rest := string(raw); rest != ""; {
		entry := rest
		if one := strings.Index(rest, "\n\n"); one >= 0 {
			if two := strings.Index(rest[one+2:], "\n\n"); two >= 0 {
				entry = rest[:one+2+two+2]
			}
		}
		rest = rest[len(entry):]
		found, err := c.parse([]byte(strings.TrimSuffix(entry, "\n")))
		if err == nil && !strings.HasSuffix(entry, "\n\n") {
			err = errors.New("the entry is not complete")
		}
		if err != nil {
			c.add(fmt.Sprintf("checkpoints, entry %d", len(c.entries)), "%v", err)
			return
		}
		c.entries = append(c.entries, found)
	}
	if len(c.entries) == 0 {
		c.add("checkpoints", "it holds no checkpoint")
	}
}

// readRecords reads all frames into the tree; false if they are damaged somewhere.
func (c *checker) readRecords() bool {
	names, _ := fs.Glob(c.log, "segments/*.seg")
	sort.Strings(names)
	wanted := map[int64]bool{}
	for _, entry := range append(c.entries, c.last) {
		if entry != nil {
			wanted[entry.size] = true
		}
	}
	number, last := 0, ""
	for _, name := range names {
		if segmentName.MatchString(name) {
			last = name
		}
	}
	for _, name := range names {
		if !segmentName.MatchString(name) {
			continue
		}
		data, err := read(c.log, name, segmentMax)
		if err == nil && name != fmt.Sprintf("segments/%08d.seg", number) {
			err = errors.New("a segment before it is missing")
		}
		if err == nil && len(data) == 0 {
			err = errors.New("the segment is empty")
		}
		if err != nil {
			c.add(name, "%v", err)
			return false
		}
		c.known[name] = true
		number++
		before := uint32(0)
		for at := 0; at < len(data); {
			where := fmt.Sprintf("record %d (%s, byte %d)", c.records, name, at)
			if c.spare(name == last, at, data[at:]) {
				break
			}
			if len(data)-at < 16 {
				c.add(where, "there is no whole frame")
				return false
			}
			length := int64(binary.LittleEndian.Uint32(data[at:]))
			if length < 1 || length > int64(payloadMax[c.version]) || int64(at)+16+length > int64(len(data)) {
				c.add(where, "the length is wrong")
				return false
			}
			end := at + 16 + int(length)
			crc := binary.LittleEndian.Uint32(data[at+4:])
			chained := c.version == "2" && crc == crc32.Update(before, crc32.IEEETable, data[at+8:end])
			if before = crc; !chained && crc != crc32.ChecksumIEEE(data[at+8:end]) {
				c.add(where, "the CRC-32 is wrong")
				return false
			}
			if binary.LittleEndian.Uint64(data[at+8:]) != uint64(c.records) {
				c.add(where, "the number is wrong")
				return false
			}
			c.takeRecord(data[at+16:end], where)
			if wanted[c.records] {
				c.roots[c.records], _ = tlog.TreeHash(c.records, c.tree)
			}
			at = end
		}
	}
	if c.records == 0 {
		c.add("segments", "there are no records")
	}
	return true
}

// spare says whether only the space that an open log sets aside is left of its last segment.
func (c *checker) spare(last bool, at int, rest []byte) bool {
	open := c.version == "2" && (c.last == nil || !c.last.sealed)
	return open && last && at > 0 && len(bytes.TrimLeft(rest, "\x00")) == 0
}

func (c *checker) takeRecord(payload []byte, where string) {
	if strings.Contains(string(payload), `"sha256":`) {
		c.checkNamed(payload, where)
	}
	more, err := tlog.StoredHashesForRecordHash(c.records, tlog.RecordHash(payload), c.tree)
	if err != nil {
		panic(err) // the tree is in memory
	}
	c.tree = append(c.tree, more...)
	c.records++
	if c.root != nil {
		c.payloads = append(c.payloads, append([]byte(nil), payload...))
	}
}

// checkNamed checks the file that a record names, if it names one.
func (c *checker) checkNamed(payload []byte, where string) {
	record := object(payload)
	data := object(record["data"])
	_, isText := value(record["event"]).(string)
	if record == nil || data == nil || !isText || string(record["v"]) != c.version {
		c.add(where, "it is not a record of this format")
		return
	}
	sum, file := text(data["sha256"]), text(data["file"])
	good := false
	switch event := text(record["event"]); {
	case event == "blob.stored":
		good = file == "blobs/sha256-"+sum
	case event == "log.recovered":
		file, good = "torn/sha256-"+sum, true
	case event == "history.chunk", event == "history.tags" && c.version == "2":
		good = chunkName.MatchString(file)
	default:
		return
	}
	if !good || !hexDigest.MatchString(sum) {
		c.add(where, "it names a file that cannot be of this log")
		return
	}
	c.known[file] = true
	if text(record["event"]) == "blob.stored" {
		c.tables["history/"+text(data["name"])+" "+sum] = true
	}
	contents, err := read(c.log, file, fileMax)
	if err != nil {
		c.add(file, "%v", err)
	} else if found := sha256.Sum256(contents); hex.EncodeToString(found[:]) != sum {
		c.add(file, "its contents are not those %s names", where)
	}
}

// checkChain compares every checkpoint with the tree and with the one before it.
func (c *checker) checkChain() {
	previous, size, sealed := "none", int64(0), false
	for i, entry := range c.entries {
		where := fmt.Sprintf("checkpoints, entry %d of size %d", i, entry.size)
		if entry.signed != nil {
			c.add(where, "%v", entry.signed)
		}
		if root, ok := c.roots[entry.size]; !ok || root != entry.root {
			c.add(where, "its root is not the root of the records")
		}
		if entry.origin != c.verifier.Name() || entry.previous != previous {
			c.add(where, "it does not follow the entry before it")
		}
		first := i == 0 && entry.size == 1
		if !first && (sealed || entry.size < size || entry.size == size && !entry.sealed || i == 0) {
			c.add(where, "it cannot stand here")
		}
		sum := sha256.Sum256(entry.raw)
		previous, size, sealed = base64.StdEncoding.EncodeToString(sum[:]), entry.size, entry.sealed
	}
	if c.last == nil {
		return
	}
	if n := len(c.entries); n == 0 || string(c.entries[n-1].raw) != string(c.last.raw) {
		c.add("checkpoint", "it is not the last entry of checkpoints")
	}
	if c.last.sealed && c.last.size < c.records {
		c.add("records", "there are more than the seal covers")
	}
	if root, ok := c.roots[c.last.size]; !ok || root != c.last.root {
		c.add("checkpoint", "its root is not the root of the records")
	}
}

// tilePath is the C2SP path of a tile: the tlog package's without the height.
func tilePath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
}

// tileFiles reads tiles from files, for tlog.TileHashReader, which checks them against the root.
type tileFiles struct{ files fs.FS }

func (t tileFiles) Height() int { return tileHeight }

func (t tileFiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := read(t.files, tilePath(tile), int64(tile.W)*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

func (t tileFiles) SaveTiles([]tlog.Tile, [][]byte) {}

// checkTiles compares the tiles of the log directory with the records.
func (c *checker) checkTiles() {
	sealed := c.last != nil && c.last.sealed
	gaps := map[int]string{}
	for _, tile := range tlog.NewTiles(tileHeight, 0, c.records) {
		if tile.W < 1<<tileHeight && !sealed {
			continue
		}
		name := tilePath(tile)
		c.known[name] = true
		_, err := fs.Lstat(c.log, name)
		if errors.Is(err, fs.ErrNotExist) {
			if sealed {
				c.add(name, "the tile is missing")
			} else if gaps[tile.L] == "" {
				gaps[tile.L] = name
			}
			continue
		}
		if gaps[tile.L] != "" {
			c.add(gaps[tile.L], "the tile is missing, but %s is there", name)
		}
		c.compareTile(c.log, tile)
	}
	if sealed && len(c.problems) == 0 {
		c.proveByTiles(c.log)
	}
}

func (c *checker) compareTile(files fs.FS, tile tlog.Tile) {
	wanted, err := tlog.ReadTileData(tile, c.tree)
	if err != nil {
		panic(err) // the tree is in memory
	}
	data, err := read(files, tilePath(tile), int64(len(wanted)))
	if err != nil || string(data) != string(wanted) {
		c.add(tilePath(tile), "it does not hold the hashes of the records: %v", err)
	}
}

// proveByTiles lets the tlog package prove the first and last record from the tiles alone.
func (c *checker) proveByTiles(files fs.FS) {
	tree := tlog.Tree{N: c.last.size, Hash: c.last.root}
	reader := tlog.TileHashReader(tree, tileFiles{files})
	for _, n := range []int64{0, tree.N / 2, tree.N - 1} {
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err == nil {
			err = tlog.CheckRecord(proof, tree.N, tree.Hash, n, c.tree[tlog.StoredHashIndex(0, n)])
		}
		if err != nil {
			c.add("tile", "record %d cannot be proved from the tiles: %v", n, err)
		}
	}
}

// checkInventory: no file and no folder but those that were checked.
func (c *checker) checkInventory() {
	folders := map[string]bool{"segments": true, "history": true, "blobs": true}
	for _, name := range []string{"checkpoint", "checkpoints", "key.cert", "vkey"} {
		c.known[name] = true
	}
	for name := range c.known {
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			folders[folder] = true
		}
	}
	fs.WalkDir(c.log, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			c.add(name, "%v", err)
		case name == ".":
		case entry.IsDir() && !folders[name] && c.whole:
			c.add(name, "the folder is not part of a log")
		case !entry.IsDir() && !entry.Type().IsRegular():
			c.add(name, "it is not a plain file")
		case !entry.IsDir() && !c.known[name] && c.whole:
			c.add(name, "nothing covers this file")
		}
		return nil
	})
}

// checkExport: what an export holds beside `log/` agrees with it and with MANIFEST.
func (c *checker) checkExport() {
	if raw, err := read(c.root, "evidence/witnessed", noteMax); !errors.Is(err, fs.ErrNotExist) {
		c.checkWitnessed(raw, err)
	}
	raw, err := read(c.root, "keys/device.vkey", noteMax)
	if !errors.Is(err, fs.ErrNotExist) && (err != nil || string(raw) != c.device+"\n") {
		c.add("keys/device.vkey", "it did not certify this log: %v", err)
	}
	for name, inside := range map[string]string{
		"checkpoint": "checkpoint", "vkey": "vkey", "keys/key.cert": "key.cert",
	} {
		outside, err := read(c.root, name, noteMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		data, _ := read(c.log, inside, noteMax)
		if err != nil || string(outside) != string(data) {
			c.add(name, "it is not that of the log")
		}
	}
	if c.last != nil && c.last.size < c.records {
		c.add("records", "the export holds more than its checkpoint covers")
	}
	allowed := map[string]bool{}
	if c.last != nil && c.last.size <= c.records {
		for _, tile := range tlog.NewTiles(tileHeight, 0, c.last.size) {
			allowed[tilePath(tile)] = true
			c.compareTile(c.root, tile)
			if tile.L == 0 {
				c.compareBundle(tile, allowed)
			}
		}
		if len(c.problems) == 0 {
			c.proveByTiles(c.root)
		}
	}
	manifest, err := read(c.root, "MANIFEST", fileMax)
	if err != nil {
		c.add("MANIFEST", "%v", err)
	}
	listed := map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(string(manifest), "\n"), "\n") {
		sum, name, _ := strings.Cut(line, "  ")
		listed[name] = sum
	}
	fs.WalkDir(c.root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		form := ofAnExport
		if entry.IsDir() {
			form = folderOfAnExport
		}
		if !strings.HasPrefix(name, "log/") && !form.MatchString(name) {
			c.add(name, "it is no part of an export")
		}
		if entry.IsDir() || name == "MANIFEST" {
			return nil
		}
		if !entry.Type().IsRegular() {
			c.add(name, "it is not a plain file")
			return nil
		}
		if info, err := entry.Info(); err != nil || info.Size() > fileMax && name != "log/checkpoints" {
			c.add(name, "it is longer than %d bytes: %v", fileMax, err)
			return nil
		}
		file, err := c.root.Open(name)
		if err != nil {
			c.add(name, "%v", err)
			return nil
		}
		defer file.Close()
		digest := sha256.New()
		_, err = io.Copy(digest, file)
		sum := hex.EncodeToString(digest.Sum(nil))
		if err != nil || sum != listed[name] {
			c.add(name, "it is not what MANIFEST lists")
		}
		if strings.HasPrefix(name, "history/") && !c.tables[name+" "+sum] && c.whole {
			c.add(name, "no record stores it under this name")
		}
		delete(listed, name)
		if strings.HasPrefix(name, "tile/") && !allowed[name] && c.whole {
			c.add(name, "it is no tile of this log")
		}
		return nil
	})
	for name := range listed {
		c.add(name, "MANIFEST lists it, the export has it not")
	}
}

// checkWitnessed: what witnesses signed is a beginning of this log. Whose cosignatures stand below
// is not looked at; the log's own signature must.
func (c *checker) checkWitnessed(raw []byte, err error) {
	var found *checkpoint
	if body, lines, _ := strings.Cut(string(raw), "\n\n"); err == nil {
		for _, line := range strings.SplitAfter(lines, "\n") {
			if strings.HasPrefix(line, "— "+c.verifier.Name()+" ") {
				found, err = c.parse([]byte(body + "\n\n" + line))
				break
			}
		}
	}
	if err == nil && found == nil {
		err = errors.New("the log's own signature is missing")
	}
	if err == nil {
		err = found.signed
	}
	if err == nil && found.size > c.records {
		err = fmt.Errorf("it is of %d records, the log holds %d", found.size, c.records)
	}
	if err == nil {
		if root, _ := tlog.TreeHash(found.size, c.tree); root != found.root {
			err = errors.New("its root is not the root of the records")
		}
	}
	if err != nil {
		c.add("evidence/witnessed", "%v", err)
	}
}

// compareBundle checks `tile/entries/N`: every record with its length as 16 bits, big-endian.
func (c *checker) compareBundle(tile tlog.Tile, allowed map[string]bool) {
	var wanted []byte
	for _, payload := range c.payloads[tile.N<<tileHeight:][:tile.W] {
		wanted = binary.BigEndian.AppendUint16(wanted, uint16(len(payload)))
		wanted = append(wanted, payload...)
	}
	name := strings.Replace(tilePath(tile), "tile/0/", "tile/entries/", 1)
	allowed[name] = true
	data, err := read(c.root, name, int64(len(wanted)))
	if err != nil || string(data) != string(wanted) {
		c.add(name, "it does not hold the records: %v", err)
	}
}
