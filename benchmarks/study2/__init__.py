"""The second study: votes of screens, picks of races and their fresh rollouts, fixed by docs/study/registration-2.md."""
