package openbts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// Bounds of what is read of a file that anybody may have written.
const (
	maxFile = 256 << 20
	maxRow  = 1 << 20
	maxRows = 1 << 20
)

// database is an SQLite 3 file as a whole, to be read: tables with rowids in
// UTF-8 (https://www.sqlite.org/fileformat.html). It knows no SQL but the names
// of columns.
type database struct {
	b       []byte
	page    int // octets of one
	usable  int // of them
	tables  map[string]table
	visited []bool // pages of the table being read: each is in one place
}

type table struct {
	root    int
	columns []string // lower case
	rowid   int      // the column that is the rowid, or -1
}

// row is a row's values by column, lower case; what is NULL is absent.
type row map[string]string

var errBroken = errors.New("it is damaged")

// openDatabase reads a file. One whose newest changes are in a file beside it is
// refused: they would be missing.
func openDatabase(path string) (*database, error) {
	for _, beside := range []string{"-wal", "-journal"} {
		if st, err := os.Stat(path + beside); err == nil && st.Size() > 0 {
			return nil, fmt.Errorf("openbts: %s: its newest changes are in %s%s: stop the programs that use it, or copy it with: sqlite3 %s '.backup copy.db'", path, path, beside, path)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("openbts: %s has more than %d MB", path, maxFile>>20)
	}
	d, err := readDatabase(b)
	if err != nil {
		return nil, fmt.Errorf("openbts: %s: %w", path, err)
	}
	return d, nil
}

func readDatabase(b []byte) (*database, error) {
	if len(b) < 512 || string(b[:16]) != "SQLite format 3\x00" {
		return nil, errors.New("it is no SQLite 3 database")
	}
	d := &database{b: b, page: int(binary.BigEndian.Uint16(b[16:])), tables: map[string]table{}}
	if d.page == 1 {
		d.page = 1 << 16
	}
	d.usable = d.page - int(b[20])
	if d.page < 512 || d.page&(d.page-1) != 0 || d.usable < 480 {
		return nil, errBroken
	}
	if e := binary.BigEndian.Uint32(b[56:]); e != 1 {
		return nil, errors.New("its text is not UTF-8")
	}
	// sqlite_schema: type, name, tbl_name, rootpage, sql.
	schema := table{root: 1, columns: []string{"type", "name", "tbl_name", "rootpage", "sql"}, rowid: -1}
	return d, d.read(schema, func(r row) error {
		root, err := strconv.Atoi(r["rootpage"])
		if r["type"] != "table" || err != nil || root < 1 {
			return nil
		}
		t := table{root: root, rowid: -1}
		for i, c := range columns(r["sql"]) {
			name, kind, _ := strings.Cut(c, " ")
			t.columns = append(t.columns, strings.ToLower(strings.Trim(name, "\"'`[]")))
			if k := strings.Join(strings.Fields(strings.ToUpper(kind)), " "); strings.HasPrefix(k, "INTEGER PRIMARY KEY") {
				t.rowid = i
			}
		}
		d.tables[strings.ToLower(r["name"])] = t
		return nil
	})
}

// columns takes the column definitions out of a CREATE TABLE.
func columns(sql string) (out []string) {
	_, list, _ := strings.Cut(sql, "(")
	depth, begin, quoted := 0, 0, false
	add := func(end int) {
		c := strings.Join(strings.Fields(list[begin:end]), " ")
		switch first, _, _ := strings.Cut(strings.ToUpper(c), " "); strings.TrimRight(first, "(") {
		case "", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT":
		default:
			out = append(out, c)
		}
	}
	for i, c := range list {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth == 0:
			add(i)
			return out
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			add(i)
			begin = i + 1
		}
	}
	return out
}

// rows gives each row of a table to take.
func (d *database) rows(name string, take func(row) error) error {
	t, ok := d.tables[strings.ToLower(name)]
	if !ok {
		return fmt.Errorf("it has no table %s", strings.ToUpper(name))
	}
	return d.read(t, take)
}

func (d *database) read(t table, take func(row) error) error {
	d.visited = make([]bool, len(d.b)/d.page+1)
	n := 0
	return d.tree(t.root, func(rowid int64, record []byte) error {
		if n++; n > maxRows {
			return fmt.Errorf("it has more than %d rows", maxRows)
		}
		r, err := t.row(rowid, record)
		if err != nil {
			return err
		}
		return take(r)
	})
}

// tree walks a table's pages in the order of rowids.
func (d *database) tree(number int, take func(int64, []byte) error) error {
	p, err := d.pageOf(number)
	if err != nil {
		return err
	}
	at := 0
	if number == 1 {
		at = 100
	}
	kind, count, cells := p[at], int(binary.BigEndian.Uint16(p[at+3:])), at+8
	if kind == 0x05 {
		cells = at + 12
	} else if kind != 0x0d {
		return errBroken
	}
	if cells+2*count > d.usable {
		return errBroken
	}
	for i := range count {
		c := int(binary.BigEndian.Uint16(p[cells+2*i:]))
		if c+4 > d.usable {
			return errBroken
		}
		if kind == 0x05 {
			err = d.tree(int(binary.BigEndian.Uint32(p[c:])), take)
		} else {
			err = d.cell(p[c:d.usable], take)
		}
		if err != nil {
			return err
		}
	}
	if kind == 0x05 {
		return d.tree(int(binary.BigEndian.Uint32(p[at+8:])), take)
	}
	return nil
}

func (d *database) pageOf(number int) ([]byte, error) {
	if number < 1 || number*d.page > len(d.b) || d.visited[number] {
		return nil, errBroken
	}
	d.visited[number] = true
	return d.b[(number-1)*d.page:][:d.page], nil
}

// cell takes one row out of a leaf, and out of the pages it goes on in.
func (d *database) cell(c []byte, take func(int64, []byte) error) error {
	size, n := varint(c)
	rowid, m := varint(c[n:])
	if n == 0 || m == 0 || size > maxRow {
		return errBroken
	}
	c = c[n+m:]
	local, most := int(size), d.usable-35
	if local > most {
		least := (d.usable-12)*32/255 - 23
		if local = least + (int(size)-least)%(d.usable-4); local > most {
			local = least
		}
		if len(c) < local+4 {
			return errBroken
		}
		record := append(make([]byte, 0, size), c[:local]...)
		next := int(binary.BigEndian.Uint32(c[local:]))
		for len(record) < int(size) {
			p, err := d.pageOf(next)
			if err != nil {
				return err
			}
			next = int(binary.BigEndian.Uint32(p))
			record = append(record, p[4:4+min(d.usable-4, int(size)-len(record))]...)
		}
		return take(int64(rowid), record)
	}
	if len(c) < local {
		return errBroken
	}
	return take(int64(rowid), c[:local])
}

// row reads a record.
func (t *table) row(rowid int64, record []byte) (row, error) {
	size, n := varint(record)
	if n == 0 || size > uint64(len(record)) || int(size) < n {
		return nil, errBroken
	}
	kinds, body := record[n:size], record[size:]
	r := row{}
	for i := 0; len(kinds) > 0; i++ {
		kind, n := varint(kinds)
		if n == 0 {
			return nil, errBroken
		}
		kinds = kinds[n:]
		text, long, err := value(kind, body)
		if err != nil {
			return nil, err
		}
		body = body[long:]
		switch {
		case i >= len(t.columns):
		case i == t.rowid:
			r[t.columns[i]] = strconv.FormatInt(rowid, 10)
		case kind != 0:
			r[t.columns[i]] = text
		}
	}
	return r, nil
}

// value reads a value of a serial type as text, and says how long it is.
func value(kind uint64, b []byte) (string, int, error) {
	long := uint64(0)
	switch {
	case kind == 8 || kind == 9:
		return strconv.FormatUint(kind-8, 10), 0, nil
	case kind <= 7:
		long = [...]uint64{0, 1, 2, 3, 4, 6, 8, 8}[kind]
	case kind >= 12:
		long = (kind - 12) / 2
	default:
		return "", 0, errBroken
	}
	if long > uint64(len(b)) {
		return "", 0, errBroken
	}
	b = b[:long]
	if kind >= 12 {
		return string(b), int(long), nil
	}
	v := int64(0)
	if long > 0 {
		v = int64(int8(b[0]))
		for _, c := range b[1:] {
			v = v<<8 | int64(c)
		}
	}
	if kind == 7 {
		return strconv.FormatFloat(math.Float64frombits(uint64(v)), 'g', -1, 64), 8, nil
	}
	return strconv.FormatInt(v, 10), int(long), nil
}

// varint reads a number of one to nine octets; 0 octets say that there is none.
func varint(b []byte) (v uint64, n int) {
	for i, c := range b[:min(len(b), 9)] {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
