"""The guarded way back: cases, two people, answers that are audited first. The only code that decrypts a link."""
