package town

import (
	"regexp"
	"strings"
	"testing"
)

// Mistakes in [sip] name line and remedy.
func TestSIPMistakes(t *testing.T) {
	station := func(lines string) string { return "[[sip.stations]]\n" + lines }
	trunk := "[[sip.trunks]]\nname = 'p'\nproxy = 'sip:192.0.2.1'\n"
	good := "name = 'bts'\nfrom = ['10.9.0.7']\ncells = ['03ef-000a']\n"
	for text, want := range map[string]string{
		"listen = ['localhost:5060']":             "sip.listen",
		"realm = 'two words'":                     "is no domain",
		"tls = ['127.0.0.40:5061']":               "sip.tls_cert: it is empty",
		"md5 = 'perhaps'":                         "sip.md5",
		"max_expires = '1m'":                      "write 24m",
		"expires = '5h'":                          "to sip.max_expires",
		"max_registrations = 0":                   "write 1 to",
		"message_centre = '12345'":                "in international form",
		"country = 'DE'":                          "no prefix of a country",
		"media = '0.0.0.0'":                       "no address to send speech to",
		"media_ports = '30000'":                   "sip.media_ports",
		"silence = '1s'":                          "write 5s to 1h",
		"max_calls = 0":                           "sip.max_calls",
		"no_answer = '1s'":                        "write 5s to 4m",
		"national = 'x'":                          "sip.national",
		"short = [['1']]":                         "sip.short",
		"emergency_number = 'x'":                  "sip.emergency_number",
		"emergency_trunk = 'none'":                "there is no trunk",
		"[[sip.trunks]]\nproxy = 'sip:192.0.2.1'": "is empty or taken",
		"[[sip.trunks]]\nname = 'p'":              "is no SIP URI",
		"[[sip.trunks]]\nname = 'p'\nproxy = 'sip:192.0.2.1'\nregister = true":            "needs user and password",
		"[[sip.trunks]]\nname = 'p'\nproxy = 'sip:192.0.2.1'\nrates = [[49, 1]]":          "is no rate",
		"[[sip.trunks]]\nname = 'p'\nproxy = 'sip:192.0.2.1'\nnumbers = [['1', 'x']]":     "sip.trunks.numbers",
		"[[sip.trunks]]\nname = 'p'\nproxy = 'sip:192.0.2.1'\npassword_file = '/no/such'": "sip.trunks.password_file",
		trunk + "rates = [['49', 1], ['49', 2]]":                                          "has two prices",
		trunk + "max_calls = -1":                                                          "sip.trunks.max_calls",
		trunk + "user = 'a b'":                                                            "is no user name",
		trunk + "domain = 'a b'":                                                          "sip.trunks.domain",
		trunk + "format = '000'":                                                          "write '+', '00' or ''",
		trunk + "numbers = [['1', '2'], ['1', '3']]":                                      "1 stands there twice",
		"listen = ['127.0.0.40:1', '127.0.0.40:1']":                                       "stands there twice",
		"realm = 'a..b'":                          "is no domain",
		"media_ports = '30000-39999x'":            "is no range of ports",
		"media_ports = '30001-30004'":             "too few ports",
		"codecs = ['']":                           "is no name of a speech format",
		"short = [['1', '22'], ['1', '33']]":      "stands there twice",
		"numbers = '+88299'":                      "no beginning of numbers",
		"number_digits = 7":                       "sip.numbers: it is empty",
		"number_digits = -1":                      "write 0 to 15",
		"language = 'fr'":                         "sip.language",
		station("name = 'bts'"):                   "nobody would be this station",
		station("from = ['10.9.0.7']"):            "it has no name",
		station("name = 'x'\nfrom = ['nowhere']"): "write addresses or ranges",
		station("name = 'x'\nfrom = ['10.9.0.7']\ncells = ['1007']"):                                    "is no cell",
		station("name = 'x'\nfrom = ['10.9.0.7']"):                                                      "cells: station 1: none",
		station(good + "tower = '12'"):                                                                  "no public key",
		station(good + "tls = true"):                                                                    "sip.tls is empty",
		station(strings.ReplaceAll(good, "10.9.0.7", "0.0.0.0/0")):                                      "everybody would be this station",
		station(strings.ReplaceAll(good, "03ef", "fffe")):                                               "is no cell",
		station(good) + station("name = 'b'\nfrom = ['10.9.0.8']\ncells = ['3ef-a']"):                   "is a cell of station 1 already",
		"[[sip.trunks]]\nname = 'p'\nproxy = 'sip:192.0.2.1'\nfrom = ['10.9.0.0/24']\n" + station(good): "of trunk \"p\", too",
		station(good + "events = '10.9.0.7'"):                                                           "sip.stations.events",
		station(good + "events = '10.9.0.8:45160'"):                                                     "none of its addresses",
		station(good) + station(strings.ReplaceAll(good, "bts'\nfrom = ['10.9.0.7']\ncells = ['03ef-000a", "bts2'\nfrom = ['10.9.0.7']\ncells = ['1-1")): "share addresses",
		station(good) + station(strings.ReplaceAll(strings.ReplaceAll(good, ".7", ".8"), "000a", "000b")):                                                "is empty or taken",
	} {
		_, err := loaded(t, "[sip]\n"+text)
		if err == nil || !strings.Contains(err.Error(), want) || !regexp.MustCompile(`campanile\.toml:[1-9]`).MatchString(err.Error()) {
			t.Errorf("%s\n%v, want a line of the file and %q", text, err, want)
		}
	}
	for _, text := range []string{"listen = []", "[[sip.trunks]]\nname = 'p'\nproxy = 'sip:provider.example'\nrates = [['49', 12], ['', 90]]\nnumbers = [['493012', '99970']]\nshow = '493012'", station(good + "events = '10.9.0.7:45160'"), station("name = 'far'\nfrom = ['10.9.0.0/24']\ncells = ['1-1']\ntower = '" + strings.Repeat("ab", 32) + "'")} {
		if _, err := loaded(t, "[sip]\n"+text); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
