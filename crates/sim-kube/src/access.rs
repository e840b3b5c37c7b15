//! The reviews of access: SelfSubjectAccessReview, SubjectAccessReview, SelfSubjectRulesReview, TokenReview and the like.
