package systemconsole

import (
	"net/http"
	"net/url"
	"strings"
)

// A notice is the outcome of what was done last. It travels in the address of
// the next page as a word, never as text: an address that somebody else made
// up cannot put words into the console's mouth.
const (
	noticeParameter = "notice"
	noticePassword  = "password"

	noticeTenantCreated  = "tenant-created"
	noticeTenantDisabled = "tenant-disabled"
	noticeTenantEnabled  = "tenant-enabled"
	noticeLimits         = "limits"
	noticeUser           = "user"
	noticeUserDeleted    = "user-deleted"
	noticeAccount        = "account"
	noticeAccountDeleted = "account-deleted"
	noticeFactorOff      = "factor-off"
	noticeRevoked        = "revoked"

	noticeScaled      = "scaled"
	noticeResized     = "resized"
	noticePoolAdded   = "pool-added"
	noticePoolRemoved = "pool-removed"
	noticeInstalling  = "installing"
	noticeUpgrading   = "upgrading"

	noticeSettings = "settings"
	noticeMailSent = "mail-sent"
	noticeMailOff  = "mail-off"
	noticeTLS      = "certificate"
	noticeTLSKept  = "certificate-kept"
	noticeBackup   = "backup"
	noticeRestored = "restored"

	noticeMasterKey = "master-key"

	noticeRegistryAdded   = "registry-added"
	noticeRegistryChecked = "registry-checked"
	noticeRegistryRemoved = "registry-removed"
	noticeUploadRemoved   = "upload-removed"
)

func notices() map[string]string {
	return map[string]string{
		noticePassword: "Your password was changed.",

		noticeTenantCreated:  "The tenant was created. Activate it to get the link for its first administrator.",
		noticeTenantDisabled: "The tenant was disabled, and its sessions were ended.",
		noticeTenantEnabled:  "The tenant was enabled.",
		noticeLimits:         "The limits were changed.",
		noticeUser:           "The user was changed.",
		noticeUserDeleted:    "The user was deleted.",
		noticeAccount:        "The account was changed.",
		noticeAccountDeleted: "The account was deleted.",
		noticeFactorOff:      "The second factor was turned off.",
		noticeRevoked:        "It is no longer valid.",

		noticeScaled:      "The number of machines was changed. The cluster is on its way there.",
		noticeResized:     "The size was changed. Machines are replaced one after the other.",
		noticePoolAdded:   "The pool was added. Its machines are being made.",
		noticePoolRemoved: "The pool is being removed.",
		noticeInstalling:  "The installation was started.",
		noticeUpgrading:   "The upgrade was started. It goes on whatever becomes of this page.",

		noticeSettings: "The settings were saved.",
		noticeMailSent: "The settings were saved; the mail server took the test mail.",
		noticeMailOff:  "The console sends no mail from now on; links are shown.",
		noticeTLS:      "The certificate was changed. New connections have it.",
		noticeTLSKept:  "The certificate was kept. All replicas of the console have it in about a minute.",
		noticeBackup:   "A backup was written and read again.",
		noticeRestored: "The backup was restored. Log in as it was then.",

		noticeMasterKey: "The master key was rotated. Keep a copy of the new one apart from the backups.",

		noticeRegistryAdded:   "The registry was added.",
		noticeRegistryChecked: "The registry was asked; its answer stands below.",
		noticeUploadRemoved:   "The upload was removed.",
		noticeRegistryRemoved: "The console knows the registry no more. What it holds is untouched.",
	}
}

// notice returns the text for the word in the address of a request.
func notice(r *http.Request) string { return notices()[r.URL.Query().Get(noticeParameter)] }

// seeNotice sends the browser to another page, which tells the outcome.
func seeNotice(w http.ResponseWriter, r *http.Request, path, word string) error {
	sign := "?"
	if strings.Contains(path, "?") {
		sign = "&"
	}
	return see(w, r, path+sign+url.Values{noticeParameter: {word}}.Encode())
}
