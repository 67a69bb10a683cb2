package s11

import "campanile.network/wire/gtpc"

// ParseBearers is parseBearers, of the messages it is for.
func ParseBearers(m *gtpc.Message) (*BearerRequest, error) {
	switch m.Type {
	case gtpc.CreateBearerRequest, gtpc.UpdateBearerRequest, gtpc.DeleteBearerRequest:
		return parseBearers(m)
	}
	return nil, gtpc.Refuse(gtpc.RequestRejected, 0, "%v", m.Type)
}

// AnswerBearers is answerBearers for a session of no gateway.
func AnswerBearers(r *BearerRequest, a BearerAnswer) *gtpc.Message {
	r.Session = &Session{}
	return answerBearers(r, a)
}
