"""What cleaning is worth: trainings on its output beside trainings on other text, and what their losses say of it."""
