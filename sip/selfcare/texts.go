package selfcare

// texts are what a Desk says in one language: all of it fits a message of one part.
type texts struct {
	number, noNumber, helpRegister, helpBalance, helpStatus                string
	hasNumber, noNumbers, badNumber, taken, unknown, registered            string
	noAccount, unlimited, data, minutes, messages, noStatus, trouble, well string
}

var languages = map[string]texts{
	"en": {
		number: "Your number is %s.", noNumber: "You have no number yet.",
		helpRegister: "Number: text the one you want to %s.", helpBalance: "Balance: text or call *%s#.", helpStatus: "Network: %s.",
		hasNumber: "Your number is %s; you cannot change it yourself.", noNumbers: "Numbers are given by the operator. Please ask there.",
		badNumber: "That is no number here. Write %d digits, they follow %s.", taken: "Somebody has this number. Please choose another.",
		unknown: "This network does not know your SIM card. Please ask the operator.", registered: "Your number is %s. Welcome!",
		noAccount: "This network keeps no account of what you use.", unlimited: "unlimited", data: "Data: %s", minutes: "Minutes: %s", messages: "Messages: %s",
		noStatus: "The network is up.", trouble: "%s: %d phones. Trouble: %s", well: "%s: %d phones, all is well.",
	},
	"de": {
		number: "Ihre Nummer ist %s.", noNumber: "Sie haben noch keine Nummer.",
		helpRegister: "Nummer: schreiben Sie die gewünschte an %s.", helpBalance: "Guthaben: SMS oder *%s#.", helpStatus: "Netz: %s.",
		hasNumber: "Ihre Nummer ist %s; Sie können sie nicht selbst ändern.", noNumbers: "Nummern vergibt der Betreiber. Bitte fragen Sie dort.",
		badNumber: "Das ist hier keine Nummer. Schreiben Sie %d Ziffern, sie folgen auf %s.", taken: "Diese Nummer hat schon jemand. Bitte wählen Sie eine andere.",
		unknown: "Dieses Netz kennt Ihre SIM-Karte nicht. Bitte fragen Sie den Betreiber.", registered: "Ihre Nummer ist %s. Willkommen!",
		noAccount: "Dieses Netz führt kein Konto darüber, was Sie nutzen.", unlimited: "unbegrenzt", data: "Daten: %s", minutes: "Minuten: %s", messages: "Nachrichten: %s",
		noStatus: "Das Netz läuft.", trouble: "%s: %d Telefone. Störung: %s", well: "%s: %d Telefone, alles in Ordnung.",
	},
}
