package s1ap

import "fmt"

// Append appends the encoding that Source-ToTarget-TransparentContainer carries
// between eNBs (TS 36.413 §9.2.1.7).
func (v *SourceeNBToTargeteNBTransparentContainer) Append(dst []byte) ([]byte, error) {
	return appendContainer(dst, "SourceeNB-ToTargeteNB-TransparentContainer", v.encode)
}

// ParseSourceToTarget reads what Append writes.
func ParseSourceToTarget(b []byte) (v SourceeNBToTargeteNBTransparentContainer, err error) {
	err = parseContainer(b, "SourceeNB-ToTargeteNB-TransparentContainer", v.decode)
	return v, err
}

// Append appends the encoding that Target-ToSource-TransparentContainer carries
// between eNBs (TS 36.413 §9.2.1.8).
func (v *TargeteNBToSourceeNBTransparentContainer) Append(dst []byte) ([]byte, error) {
	return appendContainer(dst, "TargeteNB-ToSourceeNB-TransparentContainer", v.encode)
}

// ParseTargetToSource reads what Append writes.
func ParseTargetToSource(b []byte) (v TargeteNBToSourceeNBTransparentContainer, err error) {
	err = parseContainer(b, "TargeteNB-ToSourceeNB-TransparentContainer", v.decode)
	return v, err
}

func appendContainer(dst []byte, name string, encode func(*encoder)) ([]byte, error) {
	var w encoder
	w.Reset(dst)
	w.At(name)
	encode(&w)
	if w.Failed() {
		return dst, fmt.Errorf("s1ap: %w", w.Err())
	}
	return w.Bytes(), nil
}

func parseContainer(b []byte, name string, decode func(*decoder)) error {
	var r decoder
	r.Reset(b, memoryFactor*len(b)+memoryBase)
	r.At(name)
	decode(&r)
	if r.Failed() {
		return fmt.Errorf("s1ap: %w", r.Err())
	}
	if r.Left() > 7 {
		return fmt.Errorf("s1ap: %s: %d octets follow", name, r.Left()/8)
	}
	return nil
}
