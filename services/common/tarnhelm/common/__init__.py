"""What every service shares: errors, limits, seams and the bounded DICOM header walker."""
