#!/bin/sh
# Runs inside of the new root file system and makes a node of it: the changes
# of kind's own base image to what Debian installs (kind, images/base/Dockerfile).
set -eu

# systemd in a container: no devices, no file systems, no consoles to bring up.
find /usr/lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /usr/lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
	/usr/lib/systemd/system/local-fs.target.wants/* /usr/lib/systemd/system/basic.target.wants/* \
	/usr/lib/systemd/system/sockets.target.wants/*udev* /usr/lib/systemd/system/sockets.target.wants/*initctl*
[ -e /sbin/init ] || ln -s /usr/lib/systemd/systemd /sbin/init

# The runtime specification of pods: kind's hook gives each pod a product_uuid
# of its own.
mkdir -p /etc/containerd
ctr oci spec |
	jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"} | del(.process.rlimits)' \
		>/etc/containerd/cri-base.json

rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/*
