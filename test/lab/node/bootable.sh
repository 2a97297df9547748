#!/bin/sh
# Runs inside of the new root file system of a machine that boots by itself: no
# container is below it, and cloud-init and the units are those of Debian.
set -eu

mkdir -p /etc/containerd
ctr oci spec | jq 'del(.process.rlimits)' >/etc/containerd/cri-base.json
printf 'overlay\nbr_netfilter\n' >/etc/modules-load.d/kubernetes.conf
printf 'net.ipv4.ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\n' >/etc/sysctl.d/90-kubernetes.conf
systemctl enable systemd-networkd serial-getty@ttyS0
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

# What each machine makes for itself.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: >/etc/machine-id
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/*
