package core

import (
	"crypto/ecdsa"
	"crypto/rand"
	"errors"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/rookery-im/rookery/proto/wire"
)

// deployedHost is a host with its keys in the forms that the reference has them.
type deployedHost struct {
	*host
	deployed       *ecdsa.PrivateKey // the identity
	deployedPreKey deployedPair
}

func newDeployedHost() (*deployedHost, error) {
	h, err := newHost()
	if err != nil {
		return nil, err
	}
	deployed, err := crypto.ToECDSA(h.identity.Scalar())
	public := h.prekey.Public()
	return &deployedHost{h, deployed, deployedPair{private: h.prekey.Scalar(), public: public[:]}}, err
}

// startDeployed is start in the way of the reference.
func (h *deployedHost) startDeployed(with *wire.Bundle, payload []byte) (*deployedSession, firstFlight[deployedMessage], error) {
	flight := firstFlight[deployedMessage]{identity: h.identity.Public()}
	if err := deployedCheck(with); err != nil {
		return nil, flight, err
	}
	prekey := with.PreKeys[0].Key[:]
	sk, ephemeral, err := deployedInitiate(h.deployed, with.Identity[:], prekey)
	if err != nil {
		return nil, flight, err
	}
	copy(flight.ephemeral[:], ephemeral)
	s, err := newDeployedInitiator(sk, prekey)
	if err != nil {
		return nil, flight, err
	}
	flight.message, err = s.send(payload)
	return s, flight, err
}

// acceptDeployed is accept in the way of the reference.
func (h *deployedHost) acceptDeployed(flight firstFlight[deployedMessage]) (*deployedSession, []byte, error) {
	sk, err := deployedRespond(h.deployed, h.deployedPreKey.private, flight.identity[:], flight.ephemeral[:])
	if err != nil {
		return nil, nil, err
	}
	s := newDeployedResponder(sk, h.deployedPreKey)
	plaintext, err := s.receive(flight.message)
	return s, plaintext, err
}

func freshDeployed() (alice, bob *deployedSession, err error) {
	sk := make([]byte, 32)
	_, err1 := rand.Read(sk)
	first, err2 := newDeployedPair()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	alice, err = newDeployedInitiator(sk, first.public)
	return alice, newDeployedResponder(sk, first), err
}

func establishedDeployed() (from, to *deployedSession, err error) {
	to, from, err = freshDeployed()
	if err != nil {
		return nil, nil, err
	}
	return from, to, settle(to, from)
}
