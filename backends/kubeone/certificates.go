package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const lifetime = 10 * 365 * 24 * time.Hour

// A pair names the files of a certificate and its key.
type pair struct{ cert, key string }

// files are what the parts of the process read; adminConfig is the administrator's kubeconfig.
type files struct {
	ca, server, etcdClient, webhook pair
	accounts, adminConfig           string
}

// prepare makes what is missing in the data folder: an authority, certificates, kubeconfigs.
func prepare(dir, port string) (files, error) {
	pki := filepath.Join(dir, "pki")
	at := func(name string) pair {
		return pair{filepath.Join(pki, name+".crt"), filepath.Join(pki, name+".key")}
	}
	found := files{
		ca: at("ca"), server: at("server"), etcdClient: at("etcd-client"), webhook: at("webhook"),
		accounts:    filepath.Join(pki, "accounts.key"),
		adminConfig: filepath.Join(dir, "kubeconfig"),
	}
	if err := os.MkdirAll(pki, 0o700); err != nil {
		return found, err
	}
	ca, err := authority(found.ca)
	if err != nil {
		return found, err
	}
	if _, err := key(found.accounts); err != nil {
		return found, err
	}
	for _, one := range []struct {
		at      pair
		subject pkix.Name
	}{
		{found.server, pkix.Name{CommonName: "kubeone"}},
		{found.webhook, pkix.Name{CommonName: "vmsim-webhook"}},
		{found.etcdClient, pkix.Name{CommonName: "kube-apiserver"}},
		{at("admin"), pkix.Name{CommonName: "vmsim-admin", Organization: []string{"system:masters"}}},
		{at("controller"), pkix.Name{CommonName: "vmsim-controller"}},
		{at("user"), pkix.Name{CommonName: "vmsim-user", Organization: []string{"vmsim:users"}}},
	} {
		if err := ca.sign(one.at, one.subject); err != nil {
			return found, err
		}
	}
	for name, file := range map[string]string{
		"admin": "kubeconfig", "controller": "controller.kubeconfig", "user": "user.kubeconfig",
	} {
		if err := kubeconfig(filepath.Join(dir, file), port, name, found.ca, at(name)); err != nil {
			return found, err
		}
	}
	return found, nil
}

// An issuer signs certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func authority(at pair) (*issuer, error) {
	k, err := key(at.key)
	if err != nil {
		return nil, err
	}
	if der, err := read(at.cert); err == nil {
		cert, err := x509.ParseCertificate(der)
		return &issuer{cert, k}, err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	template := blank(pkix.Name{CommonName: "vmsim"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &issuer{cert, k}, write(at.cert, "CERTIFICATE", der)
}

// sign makes a certificate for loopback, for both ends of a connection, unless it is there.
func (i *issuer) sign(at pair, subject pkix.Name) error {
	if _, err := os.Stat(at.cert); err == nil {
		return nil
	}
	k, err := key(at.key)
	if err != nil {
		return err
	}
	template := blank(subject)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	template.DNSNames = []string{"localhost", "kubernetes.default.svc", "kubernetes"}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, k.Public(), i.key)
	if err != nil {
		return err
	}
	return write(at.cert, "CERTIFICATE", der)
}

// blank is valid from an hour ago, since clocks differ.
func blank(subject pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime),
	}
}

// key is the key in the file, made when there is none.
func key(path string) (*ecdsa.PrivateKey, error) {
	if der, err := read(path); err == nil {
		return x509.ParseECPrivateKey(der)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return nil, err
	}
	return k, write(path, "EC PRIVATE KEY", der)
}

func read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New(path + " is not a PEM file; remove the folder to start anew")
	}
	return block.Bytes, nil
}

func write(path, kind string, der []byte) error {
	return replace(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// replace writes the file so that it is never seen half written.
func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func kubeconfig(path, port, user string, ca, own pair) error {
	parts := map[string]string{}
	for name, file := range map[string]string{"ca": ca.cert, "cert": own.cert, "key": own.key} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parts[name] = base64.StdEncoding.EncodeToString(text)
	}
	name := "vmsim"
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": "https://127.0.0.1:" + port, "certificate-authority-data": parts["ca"]}}},
		"users": []any{map[string]any{"name": user, "user": map[string]any{
			"client-certificate-data": parts["cert"], "client-key-data": parts["key"]}}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]any{
			"cluster": name, "user": user}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(text, '\n'))
}
