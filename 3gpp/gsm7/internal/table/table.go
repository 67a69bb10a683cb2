// Package table holds the character tables of TS 23.038 as the specification
// prints them: what package gsm7 decodes with, and what internal/gen turns round
// for encoding.
//
// A row of sixteen here is a column there. A cell that the specification leaves
// empty is 0; what a receiver shows for it is package gsm7's business. Letters
// stand as themselves, combining marks and letters that Unicode normalisation
// would replace as numbers.
//
// Two cells are not what every print of the specification says. The Kannada
// locking shift table has U+0CAA twice in the lists of code points (rows 2/4 and
// 3/13); the first is the letter between U+0CA0 and U+0CA2, so U+0CA1 stands
// here, as in phones. A single shift table's 0x0D (CR2) is a control character
// without meaning, so it is empty. 0x09 of the default alphabet is the capital Ç;
// Unicode's own list (GSM0338.TXT) has the small one.
package table

// Escape is in a table where the next septet is looked up in the single shift
// table instead (TS 23.038 §6.2.1.1).
const Escape = 0x1b

// Table gives the character of each septet, 0 where there is none. All
// characters of TS 23.038 are in Unicode's first plane.
type Table [128]uint16

// Locking are the tables for the first septet of a character, by national
// language identifier (TS 23.038 §6.2.1.2.4); nil where a language has none and
// the default alphabet stays in force.
var Locking = [14]*Table{
	&defaultLocking, &turkishLocking, nil, &portugueseLocking, &bengaliLocking,
	&gujaratiLocking, &hindiLocking, &kannadaLocking, &malayalamLocking, &oriyaLocking,
	&punjabiLocking, &tamilLocking, &teluguLocking, &urduLocking,
}

// Single are the tables for the septet behind an escape.
var Single = [14]*Table{
	&defaultSingle, &turkishSingle, &spanishSingle, &portugueseSingle, &bengaliSingle,
	&gujaratiSingle, &hindiSingle, &kannadaSingle, &malayalamSingle, &oriyaSingle,
	&punjabiSingle, &tamilSingle, &teluguSingle, &urduSingle,
}
