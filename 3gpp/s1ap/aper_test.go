package s1ap

import (
	"bytes"

	"github.com/free5gc/aper"
)

// The types of an InitialContextSetupRequest with the tags of
// github.com/free5gc/aper, as its NGAP module lays them out: the stranger to
// compare with, in octets and in speed.

const aperParams = "valueExt,valueLB:0,valueUB:2"

type aperPDU struct {
	Present    int
	Initiating *aperInitiating
	Successful *aperNone
	Failed     *aperNone
}

type aperNone struct{}

type aperCode struct {
	Value int64 `aper:"valueLB:0,valueUB:255"`
}

type aperCriticality struct {
	Value aper.Enumerated `aper:"valueLB:0,valueUB:2"`
}

type aperInitiating struct {
	ProcedureCode aperCode
	Criticality   aperCriticality
	Value         aperMessage `aper:"openType,referenceFieldName:ProcedureCode"`
}

type aperMessage struct {
	Present int
	Request *aperICSR `aper:"valueExt,referenceFieldValue:9"`
}

type aperICSR struct {
	IEs aperContainer
}

type aperContainer struct {
	List []aperIE `aper:"sizeLB:0,sizeUB:65535"`
}

type aperID struct {
	Value int64 `aper:"valueLB:0,valueUB:65535"`
}

type aperIE struct {
	Id          aperID
	Criticality aperCriticality
	Value       aperIEValue `aper:"openType,referenceFieldName:Id"`
}

type aperIEValue struct {
	Present  int
	MME      *aperMMEID        `aper:"referenceFieldValue:0"`
	ENB      *aperENBID        `aper:"referenceFieldValue:8"`
	AMBR     *aperAMBR         `aper:"valueExt,referenceFieldValue:66"`
	ERABs    *aperERABs        `aper:"referenceFieldValue:24"`
	Security *aperCapabilities `aper:"valueExt,referenceFieldValue:107"`
	Key      *aperKey          `aper:"referenceFieldValue:73"`
}

type aperMMEID struct {
	Value int64 `aper:"valueLB:0,valueUB:4294967295"`
}

type aperENBID struct {
	Value int64 `aper:"valueLB:0,valueUB:16777215"`
}

type aperBitRate struct {
	Value int64 `aper:"valueLB:0,valueUB:10000000000"`
}

type aperAMBR struct {
	DL, UL     aperBitRate
	Extensions *aperNone `aper:"optional"`
}

type aperERABs struct {
	List []aperItemIE `aper:"sizeLB:1,sizeUB:256"`
}

type aperItemIE struct {
	Id          aperID
	Criticality aperCriticality
	Value       aperItemValue `aper:"openType,referenceFieldName:Id"`
}

type aperItemValue struct {
	Present int
	Item    *aperItem `aper:"valueExt,referenceFieldValue:52"`
}

type aperItem struct {
	ERABID     aperERABID
	QoS        aperQoS `aper:"valueExt"`
	Address    aperAddress
	TEID       aperTEID
	NAS        *aperOctets `aper:"optional"`
	Extensions *aperNone   `aper:"optional"`
}

type aperERABID struct {
	Value int64 `aper:"valueExt,valueLB:0,valueUB:15"`
}

type aperQoS struct {
	QCI        aperCode
	ARP        aperARP   `aper:"valueExt"`
	GBR        *aperNone `aper:"optional"`
	Extensions *aperNone `aper:"optional"`
}

type aperARP struct {
	Level         aperLevel
	Capability    aperFlag
	Vulnerability aperFlag
	Extensions    *aperNone `aper:"optional"`
}

type aperLevel struct {
	Value int64 `aper:"valueLB:0,valueUB:15"`
}

type aperFlag struct {
	Value aper.Enumerated `aper:"valueLB:0,valueUB:1"`
}

type aperAddress struct {
	Value aper.BitString `aper:"sizeExt,sizeLB:1,sizeUB:160"`
}

type aperTEID struct {
	Value aper.OctetString `aper:"sizeLB:4,sizeUB:4"`
}

type aperOctets struct {
	Value aper.OctetString
}

type aperAlgorithms struct {
	Value aper.BitString `aper:"sizeExt,sizeLB:16,sizeUB:16"`
}

type aperCapabilities struct {
	Encryption, Integrity aperAlgorithms
	Extensions            *aperNone `aper:"optional"`
}

type aperKey struct {
	Value aper.BitString `aper:"sizeLB:256,sizeUB:256"`
}

// aperRequest is benchRequest in the types above.
func aperRequest() aperPDU {
	ie := func(id int64, v aperIEValue) aperIE {
		return aperIE{aperID{id}, aperCriticality{0}, v}
	}
	algorithms := aperAlgorithms{aper.BitString{Bytes: []byte{0xe0, 0}, BitLength: 16}}
	item := aperItem{
		ERABID:  aperERABID{5},
		QoS:     aperQoS{QCI: aperCode{9}, ARP: aperARP{Level: aperLevel{15}}},
		Address: aperAddress{aper.BitString{Bytes: []byte{10, 0, 0, 1}, BitLength: 32}},
		TEID:    aperTEID{[]byte{1, 2, 3, 4}},
		NAS:     &aperOctets{bytes.Repeat([]byte{0x5a}, 100)},
	}
	key := aper.BitString{Bytes: bytes.Repeat([]byte{0xa5}, 32), BitLength: 256}
	return aperPDU{Present: 1, Initiating: &aperInitiating{aperCode{9}, aperCriticality{0}, aperMessage{1, &aperICSR{aperContainer{[]aperIE{
		ie(0, aperIEValue{Present: 1, MME: &aperMMEID{0x12345678}}),
		ie(8, aperIEValue{Present: 2, ENB: &aperENBID{0x00abcdef}}),
		ie(66, aperIEValue{Present: 3, AMBR: &aperAMBR{DL: aperBitRate{1_000_000_000}, UL: aperBitRate{500_000_000}}}),
		ie(24, aperIEValue{Present: 4, ERABs: &aperERABs{[]aperItemIE{{aperID{52}, aperCriticality{0}, aperItemValue{1, &item}}}}}),
		ie(107, aperIEValue{Present: 5, Security: &aperCapabilities{algorithms, algorithms, nil}}),
		ie(73, aperIEValue{Present: 6, Key: &aperKey{key}}),
	}}}}}}
}
