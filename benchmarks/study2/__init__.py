"""The second study: votes of screens, picks of races and fresh rollouts, as docs/study/registration-2.md fixed them."""
